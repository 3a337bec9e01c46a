"""`/docs` comes from this process alone: it is read where there is no internet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.service.api.fakes import FakeGateway, client_of

LOADED = re.compile(r"""(?:src|href)=["']?([^"'\s>]+)|url: ['"]([^'"]+)""")
IN_A_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?([^"')\s]{1,200})""")


async def test_everything_that_the_page_loads_is_served_here(tmp_path: Path) -> None:
    async with client_of(FakeGateway(tmp_path).app()) as client:
        page = await client.get("/docs")
        assert page.status_code == 200
        loaded = [one or other for one, other in LOADED.findall(page.text)]
        assert "/openapi.json" in loaded
        assert len(loaded) >= 4, "a script, a style, an icon and the document"
        for path in loaded:
            assert re.match("/[^/]", path), f"{path} leaves this host"
            found = await client.get(path)
            assert (found.status_code, bool(found.content)) == (200, True), path
            if path.endswith(".css"):
                assert {one[:5] for one in IN_A_STYLE.findall(found.text)} <= {"data:"}
    assert "://" not in page.text


@pytest.mark.parametrize("path", ["/docs", "/docs/assets/swagger-ui.css", "/openapi.json"])
async def test_with_keys_the_page_and_what_it_loads_ask_for_any(tmp_path: Path, path: str) -> None:
    keys = {"backend": ("open-sesame", frozenset({"interests"}))}
    async with client_of(FakeGateway(tmp_path, keys=keys).app()) as client:
        refused = await client.get(path)
        served = await client.get(path, headers={"x-api-key": "open-sesame"})
    assert (refused.status_code, served.status_code) == (401, 200)


@pytest.mark.parametrize(
    "path", ["/redoc", "/docs/assets/", "/docs/assets/nothing.js", "/docs/assets/%2e%2e/core.py"]
)
async def test_what_is_no_page_is_a_problem(tmp_path: Path, path: str) -> None:
    async with client_of(FakeGateway(tmp_path).app()) as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_page_has_its_label_and_what_it_loads_shares_one(tmp_path: Path) -> None:
    gateway = FakeGateway(tmp_path)
    async with client_of(gateway.app()) as client:
        for path in ("/docs", "/docs/assets/swagger-ui.css", "/docs/assets/nothing.js"):
            await client.get(path)

    def answers(route: str, status: int) -> float | None:
        labels = {"route": route, "status": str(status)}
        return gateway.registry.get_sample_value("interests_requests_total", labels)

    assert [answers("/docs", 200), answers("other", 200), answers("other", 404)] == [1, 1, 1]
