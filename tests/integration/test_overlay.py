"""What is done to experiments by hand, in a real Redis, and live in a real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.commands.doctor import examine
from service.errors import OverlayUnavailable
from service.experiments.overlay import Act, Action, OverlayConflict, next_action
from service.experiments.overlay_redis import KEPT, OVERLAY, RedisOverlay
from service.manifest import load_manifest
from service.redis.client import connect
from service.settings import Settings
from tests.integration.test_experiments import (
    LIVE_S,
    USERS,
    Asking,
    arm_of,
    ask,
    experiments,
    places,
    wait,
)
from tests.parts.command import interests_here
from tests.parts.gateway import Gateway, running_gateway
from tests.parts.mounted import MountedFiles
from tests.parts.redis import RedisClusterParts, RedisServer, soon

pytestmark = [pytest.mark.redis, pytest.mark.timeout(180)]

KEY = "other-student"


def paused(why: str = "too many errors", by: str = "anna") -> Action:
    return next_action(None, Action(Act.PAUSE, by, why, 1_790_000_000_000), KEY)


# --- in Redis ----------------------------------------------------------------------------------


@pytest.fixture(params=["redis_server", "redis_cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """A server, and a cluster without an overlay."""
    parts: RedisServer | RedisClusterParts = request.getfixturevalue(request.param)
    for server in parts.nodes if isinstance(parts, RedisClusterParts) else [parts]:
        with server.client() as client:
            client.flushall()
    return parts.url


async def test_what_was_done_is_read_back_with_its_history(url: str) -> None:
    client = connect(url)
    overlay = RedisOverlay(client)
    assert (await overlay.read(soon())).actions == {}
    assert await overlay.history(soon()) == []
    first = paused("zu viele Fehler · 错误")
    await overlay.change(KEY, None, first, soon())
    second = next_action(first, Action(Act.RESUME, "ben", "mended", 1), KEY)
    await overlay.change(KEY, first, second, soon())
    assert (await overlay.read(soon())).actions == {KEY: second}
    assert await overlay.history(soon()) == [(KEY, second), (KEY, first)]
    await client.aclose()


async def test_of_two_at_once_one_is_told_what_the_other_did(url: str) -> None:
    clients = connect(url), connect(url)
    asked = paused("first", "anna"), paused("second", "ben")
    done = await asyncio.gather(
        *(
            RedisOverlay(client).change(KEY, None, one, soon())
            for client, one in zip(clients, asked, strict=True)
        ),
        return_exceptions=True,
    )
    (lost,) = [number for number, result in enumerate(done) if result is not None]
    refused = done[lost]
    assert isinstance(refused, OverlayConflict)
    assert refused.held == asked[1 - lost]
    assert f"paused by {asked[1 - lost].by}" in refused.line()
    overlay = RedisOverlay(clients[0])
    assert (await overlay.read(soon())).actions == {KEY: asked[1 - lost]}
    assert len(await overlay.history(soon())) == 1
    for client in clients:
        await client.aclose()


async def test_the_history_keeps_the_last_hundred(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    overlay, before = RedisOverlay(client), None
    for number in range(KEPT + 5):
        after = Action(Act.RAMP, "anna", f"step {number}", 0, traffic=number, revision=number + 1)
        await overlay.change(KEY, before, after, soon())
        before = after
    found = await overlay.history(soon())
    assert [action.traffic for _, action in found] == list(range(KEPT + 4, 4, -1))
    await client.aclose()


async def test_an_action_nobody_can_read_is_named_and_not_overwritten(
    redis_server: RedisServer,
) -> None:
    client = connect(redis_server.url)
    overlay = RedisOverlay(client)
    await overlay.change("fine", None, paused(), soon())
    with redis_server.client() as behind:
        behind.hset(OVERLAY, mapping={"odd": "not JSON", "later": '{"v":2,"revision":7}'})
    found = await overlay.read(soon())
    assert (list(found.actions), found.unreadable) == (["fine"], ("later", "odd"))
    for key in found.unreadable:
        with pytest.raises(OverlayConflict, match="cannot be read"):
            await overlay.change(key, None, paused(), soon())
    await client.aclose()


async def test_a_redis_that_is_away_is_one_error(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    overlay = RedisOverlay(client)
    redis_server.kill()
    for call in (overlay.read(soon()), overlay.change(KEY, None, paused(), soon())):
        with pytest.raises(OverlayUnavailable):
            await call
    await client.aclose()


async def test_doctor_says_what_was_done_and_which_right_is_missing(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async def finding(url: str) -> tuple[str, str]:
        given = Settings(
            redis_url=url, data_dir=tmp_path, port=1, experiments_file=tmp_path / "file"
        )
        found = {one.part: one for one in await examine(given)}
        return found["experiments"].says, found["experiments"].remedy

    client = connect(redis_server.url)
    await RedisOverlay(client).change(KEY, None, paused(), soon())
    await client.aclose()
    assert await finding(redis_server.url) == ("can be read; acted on by hand: 1", "")
    with redis_server.client() as admin:
        rights = ["~sig:*", "~int:*", "~tomb:*", "~changes:*", "+@all"]
        admin.execute_command("ACL", "SETUSER", "gateway", "on", ">word", *rights)
    says, remedy = await finding(f"redis://gateway:word@127.0.0.1:{redis_server.port}")
    assert "NOPERM" in says
    assert "docs/signals.md" in remedy


# --- in a gateway ------------------------------------------------------------------------------


@pytest.fixture
def settings(
    redis_server: RedisServer, built_student: Path, built_base: Path, tmp_path: Path
) -> dict[str, str]:
    """Two students without engines, and everybody in an experiment between them."""
    students = {"MAIN": built_student / "student.yaml", "BASE": built_base / "student.yaml"}
    files = MountedFiles(tmp_path / "mounted")
    files.write(experiments=experiments(load_manifest(students["BASE"]).key, "100%"))
    return {
        "REDIS_URL": redis_server.url,
        "DEFAULT_STUDENT": "main",
        "EXPERIMENTS_FILE": files.file("experiments"),
        **{f"STUDENTS__{key}__MANIFEST": str(path) for key, path in students.items()},
    }


@pytest.fixture
def gateway(demo_index: Path, settings: dict[str, str]) -> Iterator[Gateway]:
    with running_gateway(demo_index, settings) as running:
        running.wait_for("index")
        yield running


def by_hand(settings: dict[str, str], *words: str) -> Any:
    """Run `interests experiments …` with the gateway's settings."""
    env = {f"INTERESTS_{name}": value for name, value in settings.items()}
    return interests_here("experiments", *words, env=env)


def shown(gateway: Gateway) -> dict[str, Any]:
    """The experiment as the gateway says that it is."""
    found = gateway.client.get("/v1/experiments").json()["experiments"]
    return next(one for one in found if one["key"] == KEY)


def enrolled(gateway: Gateway) -> dict[str, str]:
    """Each enrolled user's arm."""
    answers = {user: places(ask(gateway, user)) for user in USERS}
    return {user: found[KEY]["assigned"] for user, found in answers.items() if KEY in found}


def test_what_is_done_by_hand_is_live_within_two_seconds_and_no_request_fails(
    gateway: Gateway, settings: dict[str, str]
) -> None:
    everybody = {user: arm_of(user) for user in USERS}
    assert enrolled(gateway) == everybody
    with Asking(gateway) as asking:
        said = by_hand(settings, "pause", KEY, "--why", "errors", "--by", "anna")
        assert said.returncode == 0, said.stderr
        wait(lambda: shown(gateway)["status"] == "paused", "it is paused", LIVE_S)
        assert enrolled(gateway) == {}
        assert "no-own-signals" in places(ask(gateway, USERS[0]))
        assert shown(gateway)["overlay"]["why"] == "errors"
        name = "interests_experiment_overlay"
        assert gateway.metric(name, experiment=KEY, action="pause", by="hand") == 1
        assert f"experiment {KEY}: paused by anna" in gateway.log.read_text()

        resumed = by_hand(settings, "resume", KEY, "--why", "mended", "--traffic", "50%")
        assert resumed.returncode == 0, resumed.stderr
        wait(lambda: shown(gateway)["traffic"] == 0.5, "it goes on", LIVE_S)
        half = enrolled(gateway)
        assert half.items() <= everybody.items()
        assert gateway.metric(name, action="pause") == 0
        assert gateway.metric(name, experiment=KEY, action="ramp", by="hand") == 1

        assert by_hand(settings, "ramp", KEY, "--traffic", "100%", "--why", "up").returncode == 0
        wait(lambda: shown(gateway)["traffic"] == 1, "it is ramped up", LIVE_S)
        assert enrolled(gateway) == everybody

        assert by_hand(settings, "stop", KEY, "--why", "enough").returncode == 0
        wait(lambda: shown(gateway)["status"] == "stopped", "it is stopped", LIVE_S)
        assert enrolled(gateway) == {}
    assert set(asking.statuses) == {200}
    refused = by_hand(settings, "resume", KEY, "--why", "again")
    assert refused.returncode == 2
    assert "begin another experiment under a new one" in refused.stderr
    lines = by_hand(settings, "history").stdout.splitlines()
    assert [line.split(" ")[1] for line in lines] == ["stopped", "ramped", "resumed", "paused"]


def test_while_redis_is_away_what_was_done_stays_done(
    gateway: Gateway, settings: dict[str, str], redis_server: RedisServer
) -> None:
    assert by_hand(settings, "pause", KEY, "--why", "errors", "--by", "anna").returncode == 0
    wait(lambda: shown(gateway)["status"] == "paused", "it is paused", LIVE_S)
    redis_server.kill()
    age = "interests_experiments_overlay_age_seconds"
    wait(lambda: gateway.metric(age) > 2, "the overlay grows old")
    assert gateway.client.get("/v1/experiments").json()["overlay_ok"] is False
    assert enrolled(gateway) == {}
    said = by_hand(settings, "show", USERS[0])
    assert said.returncode == 0
    assert "could not be read and is left out" in said.stderr
    assert by_hand(settings, "resume", KEY, "--why", "mended").returncode == 2


def test_a_gateway_that_starts_knows_what_was_done_before_its_first_answer(
    demo_index: Path, settings: dict[str, str]
) -> None:
    assert by_hand(settings, "pause", KEY, "--why", "errors", "--by", "anna").returncode == 0
    with running_gateway(demo_index, settings) as running:
        assert KEY not in places(ask(running, USERS[0]))


def test_the_commands_show_what_was_done(settings: dict[str, str]) -> None:
    told = f"by hand: {KEY}: paused by anna"
    assert "nothing was done by hand" in by_hand(settings, "history").stdout
    assert by_hand(settings, "pause", KEY, "--why", "errors", "--by", "anna").returncode == 0
    file = settings["EXPERIMENTS_FILE"]
    shows, checks, plans = (
        by_hand(settings, *words).stdout
        for words in (("show", USERS[0]), ("check", file), ("plan", file))
    )
    assert "students: no experiment" in shows
    assert "of which run now: 1" in checks
    assert "nobody's arm changes" in plans
    assert all(told in said for said in (shows, checks, plans))
