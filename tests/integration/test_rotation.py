"""A caller's key and the signing secret change under a real gateway that is asked all the while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.identity import Identity
from tests.parts.gateway import Gateway, running_gateway, wait
from tests.parts.mounted import MountedFiles

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]

OLD, NEW, METRICS = "the-old-secret", "the-new-secret", "for-prometheus"


class Caller:
    """Asks over and over with its key, which may be changed, and remembers all answers."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self.key = key
        self.statuses: dict[str, list[int]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def asked(self, key: str) -> int:
        """How often with this key so far."""
        return len(self.statuses.get(key, ()))

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._ended.is_set():
                headers = {"x-api-key": (key := self.key)}
                answer = client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
                self.statuses.setdefault(key, []).append(answer.status_code)


@pytest.fixture
def secrets(tmp_path: Path) -> MountedFiles:
    mounted = MountedFiles(tmp_path / "secrets")
    mounted.write(backend=OLD, signing="signed-by-old")
    return mounted


@pytest.fixture
def gateway(
    demo_index: Path, redis_url: str, built_student: Path, secrets: MountedFiles
) -> Iterator[Gateway]:
    settings = {
        "REDIS_URL": redis_url,
        "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
        "KEYS__BACKEND__SECRET_FILE": secrets.file("backend"),
        "KEYS__PROMETHEUS__SECRET": METRICS,
        "KEYS__PROMETHEUS__RIGHTS": "metrics",
        "SECRET_FILE": secrets.file("signing"),
    }
    with running_gateway(demo_index, settings) as running:
        running.wait_for("index")
        running.client.headers["x-api-key"] = METRICS
        yield running


def wait_valid(gateway: Gateway, setting: str, count: int) -> None:
    """Wait until so many secrets of a setting are valid, as a person with Prometheus would."""
    name = "interests_secrets_valid"
    wait(lambda: gateway.metric(name, setting=setting) == count, f"{count} of {setting} valid")


def test_a_callers_key_is_rotated_under_load_without_a_refused_request(
    gateway: Gateway, secrets: MountedFiles
) -> None:
    signing = "signed-by-old"
    with Caller(gateway.url, OLD) as first, Caller(gateway.url, OLD) as last:
        wait(lambda: first.asked(OLD) > 3 and last.asked(OLD) > 3, "callers ask")
        secrets.write(backend=f"{NEW}\n{OLD}\n", signing=signing)
        wait_valid(gateway, "keys.backend", 2)
        first.key = NEW
        wait(lambda: first.asked(NEW) > 3, "one caller asks with the new key")
        last.key = NEW
        wait(lambda: last.asked(NEW) > 3, "both callers ask with the new key")
        secrets.write(backend=f"{NEW}\n", signing=signing)
        wait_valid(gateway, "keys.backend", 1)
        before = first.asked(NEW)
        wait(lambda: first.asked(NEW) > before + 3, "they go on")
    for caller in (first, last):
        assert {status for found in caller.statuses.values() for status in found} == {200}
    refused = gateway.client.post(
        "/v1/interests", json={"user_id": "u"}, headers={"x-api-key": OLD}
    )
    assert refused.status_code == 401


def test_the_signing_secret_is_rotated_and_a_bad_file_changes_nothing(
    gateway: Gateway, secrets: MountedFiles
) -> None:
    def request_id() -> str:
        headers = {"x-api-key": OLD}
        answer = gateway.client.post("/v1/interests", json={"user_id": "u"}, headers=headers)
        return str(answer.json()["request_id"])

    def signed_by(secret: bytes) -> bool:
        return Identity(secret).verified(request_id(), "u")

    assert signed_by(b"signed-by-old")
    secrets.write(backend=OLD, signing="signed-by-new\nsigned-by-old\n")
    wait_valid(gateway, "secret", 2)
    assert signed_by(b"signed-by-new")
    secrets.write(backend="short", signing="signed-by-new\n")
    wait_valid(gateway, "secret", 1)
    ok = "interests_secret_file_ok"
    wait(lambda: gateway.metric(ok, setting="keys.backend") == 0, "a bad file is told")
    assert signed_by(b"signed-by-new")  # with the key whose file is bad now
    said = gateway.log.read_text()
    assert "keys.backend cannot be used, the last good one goes on" in said
    assert OLD not in said
    assert "signed-by" not in said
