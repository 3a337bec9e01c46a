"""Callers' keys and the signing secret are taken over from their files while the gateway runs."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.api.keys import KeyRing
from service.identity import Identity
from service.rotation import Rotation, SecretFile
from service.settings_values import read_secrets
from service.telemetry import Metrics

OLD, NEW, OTHERS = "the-old-secret", "the-new-secret", "somebody-else's"
RIGHTS = frozenset({"interests"})


class Rotating:
    """A ring of two callers, the first of which has its secrets in a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "backend"
        self.path.write_text(OLD + "\n")
        self.ring = KeyRing({"backend": ((OLD,), RIGHTS), "app": ((OTHERS,), RIGHTS)}, RIGHTS)
        self.registry = CollectorRegistry()
        take = partial(self.ring.replace, "backend")
        file = SecretFile("keys.backend", self.path, (OLD,), take)
        self.rotation = Rotation([file], Metrics(self.registry))

    async def look(self, times: int = 2) -> None:
        for _ in range(times):
            await self.rotation.look()

    def valid(self) -> set[str]:
        """Those of the three secrets by which the caller is found."""
        found = {secret: self.ring.find(secret.encode()) for secret in (OLD, NEW, OTHERS)}
        return {secret for secret, caller in found.items() if caller and caller.name == "backend"}

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(name, {"setting": "keys.backend"})


@pytest.fixture
def rotating(tmp_path: Path) -> Rotating:
    return Rotating(tmp_path)


async def test_a_key_is_rotated_by_listing_both_and_then_the_new_one_alone(
    rotating: Rotating,
) -> None:
    assert rotating.valid() == {OLD}
    rotating.path.write_text(f"{NEW}\n{OLD}\n")
    await rotating.look()
    assert rotating.valid() == {OLD, NEW}
    assert rotating.metric("interests_secrets_valid") == 2
    rotating.path.write_text(NEW)
    await rotating.look()
    assert rotating.valid() == {NEW}
    assert rotating.metric("interests_secrets_valid") == 1


async def test_what_only_one_look_has_seen_is_not_taken(rotating: Rotating) -> None:
    """A file may be looked at in the middle of being written."""
    rotating.path.write_text(NEW[:10])
    await rotating.look(1)
    rotating.path.write_text(NEW)
    await rotating.look(1)
    assert rotating.valid() == {OLD}
    await rotating.look(1)
    assert rotating.valid() == {NEW}


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"short\n", "must have at least 8 characters, in each line"),
        (f"{NEW}\nshort".encode(), "must have at least 8 characters, in each line"),
        (b"\xff\xfe no text", "is not text"),
        (OTHERS.encode(), "has a secret of 'app': give each its own"),
        (None, "No such file or directory"),
    ],
)
async def test_a_bad_file_leaves_the_last_good_one_in_use_and_is_said_once(
    rotating: Rotating, bad: bytes | None, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    if bad is None:
        rotating.path.unlink()
    else:
        rotating.path.write_bytes(bad)
    with caplog.at_level(logging.INFO, "service.watched_files"):
        await rotating.look(4)
    assert rotating.valid() == {OLD}
    assert rotating.metric("interests_secret_file_ok") == 0
    (said,) = caplog.messages
    assert said.startswith("keys.backend cannot be used, the last good one goes on: ")
    assert told in said
    assert not any(secret in said for secret in (OLD, NEW, OTHERS))
    caplog.clear()
    rotating.path.write_text(NEW)
    with caplog.at_level(logging.INFO, "service.watched_files"):
        await rotating.look()
    assert rotating.valid() == {NEW}
    assert rotating.metric("interests_secret_file_ok") == 1
    assert "keys.backend can be used again" in caplog.messages


async def test_a_bad_file_does_not_hold_up_another_ones_rotation(tmp_path: Path) -> None:
    taken: list[tuple[str, ...]] = []
    good = tmp_path / "good"
    good.write_text(NEW)
    files = [
        SecretFile("keys.gone", tmp_path / "gone", (OLD,), taken.append),
        SecretFile("keys.good", good, (OLD,), taken.append),
    ]
    rotation = Rotation(files, Metrics(CollectorRegistry()))
    await rotation.look()
    await rotation.look()
    assert taken == [(NEW,)]


def test_secrets_stand_one_a_line_without_the_blanks_around_them(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(f" {NEW} \r\n\n{OLD}\r\n")
    assert read_secrets(file) == (NEW, OLD)


def test_ids_of_an_older_signing_secret_are_valid_as_long_as_it_is_listed() -> None:
    identity = Identity(b"old")
    signed = identity.request_id("u")
    identity.replace([b"new", b"old"])
    assert identity.verified(signed, "u")
    assert not identity.verified(signed, "somebody else")
    renewed = identity.request_id("u")
    assert Identity(b"new").verified(renewed, "u")
    assert not Identity(b"old").verified(renewed, "u")
    assert identity.user_hash("u") == Identity(b"new").user_hash("u")
    identity.replace([b"new"])
    assert not identity.verified(signed, "u")
