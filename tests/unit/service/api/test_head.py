"""HEAD is answered as GET is, without the body: RFC 9110, 9.3.2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.service.api.fakes import FakeGateway, client_of

KEYS = {
    "backend": ("open-sesame", frozenset({"interests"})),
    "operator": ("second-secret", frozenset({"metrics", "read"})),
}


@pytest.mark.parametrize("key", [None, "open-sesame", "second-secret"])
@pytest.mark.parametrize(
    "path",
    [
        *("/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"),
        *("/v1/students", "/v1/users/u/signals", "/v1/interests", "/v1/users/u", "/nowhere"),
    ],
)
async def test_it_has_the_status_and_the_headers_of_the_get_whoever_asks(
    tmp_path: Path, path: str, key: str | None
) -> None:
    headers = {"x-request-id": "mine", **({"x-api-key": key} if key else {})}
    async with client_of(FakeGateway(tmp_path, keys=KEYS).app()) as client:
        asked = await client.get(path, headers=headers)
        about = await client.head(path, headers=headers)
    assert about.status_code == asked.status_code
    assert about.headers["x-request-id"] == "mine"
    said, expected = dict(about.headers), dict(asked.headers)
    if path == "/metrics" and asked.status_code == 200:  # they have counted the first request
        assert int(said.pop("content-length")) > 0
        del expected["content-length"]
    assert said == expected
