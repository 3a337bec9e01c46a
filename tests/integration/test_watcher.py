"""The watcher over a real Redis: it pauses what breaks its guard, and one at a time acts."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from service.errors import OverlayUnavailable
from service.events.streams import PARTITIONS, stream_key
from service.experiments import watcher as module
from service.experiments.definitions import Experiments, Guard
from service.experiments.overlay import WATCHER, Act, Action, next_action
from service.experiments.overlay_redis import RedisOverlay
from service.experiments.watcher import LOCK, Watcher
from service.redis.client import RedisClient, connect
from tests.integration.test_experiments import experiments, wait
from tests.parts.command import interests_here
from tests.parts.redis import RedisServer, soon
from tests.unit.service.experiments.builders import experiment, layer

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]

KEY = "other-student"
GUARDED = experiment(KEY, guard=Guard(sample_ratio=True, degraded=500))


def expose(server: RedisServer, arm: str, users: int, *, bad: int = 0, name: str = "u") -> None:
    """Exposures as a gateway writes them, of so many users of an arm."""
    with server.client() as client, client.pipeline(transaction=False) as pipe:
        for number in range(users):
            held = {
                "v": 1,
                "id": f"{arm}-{number}",
                "at": 0,
                "user": f"{name}-{arm}-{number}",
                "student": "small@9",
                "places": [
                    ["no-own-signals", "own", "none", "none", None],
                    [KEY, "l", arm, arm, None],
                ],
                "degraded": ["generation_timeout"] if number < bad else [],
                "ids": ["a1", "a2"],
                "ms": [1.0, 20.0, 30.0, 2.0, 53.0],
            }
            stream = stream_key(number % PARTITIONS)
            pipe.xadd(stream, {"k": "x", "d": json.dumps(held)})
        pipe.xadd(stream_key(0), {"k": "f", "d": '{"v":1}'})
        pipe.execute()


def watcher_of(client: RedisClient, *, held: Experiments | None = None) -> Watcher:
    streams = [stream_key(partition) for partition in range(PARTITIONS)]
    found = held if held is not None else layer(GUARDED)
    return Watcher(client, streams, lambda: found, lambda: int(time.time() * 1000))


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[RedisClient]:
    client = connect(redis_server.url)
    yield client
    await client.aclose()


async def action(client: RedisClient) -> Action | None:
    return (await RedisOverlay(client).read(soon())).actions.get(KEY)


async def test_a_broken_ratio_pauses_the_experiment_with_its_numbers(
    redis_server: RedisServer, client: RedisClient
) -> None:
    watcher = watcher_of(client)
    expose(redis_server, "control", 500)
    expose(redis_server, "other", 480)
    assert await watcher.round()
    assert await action(client) is None
    assert watcher.counts() == [f"{KEY}: control 500, other 480"]
    expose(redis_server, "control", 900, name="v")
    assert await watcher.round()
    found = await action(client)
    assert found is not None
    assert (found.act, found.by) == (Act.PAUSE, WATCHER)
    assert found.why == (
        "users are not in the arms as the splits say: control has 1,400 where 940 were expected,"
        " other has 480 where 940 were expected"
    )
    assert [one.by for _, one in await RedisOverlay(client).history(soon())] == [WATCHER]


async def test_an_arm_that_is_degraded_is_paused_once(
    redis_server: RedisServer, client: RedisClient
) -> None:
    watcher = watcher_of(client)
    expose(redis_server, "control", 700, bad=20)
    expose(redis_server, "other", 700, bad=150)
    for _ in range(3):
        assert await watcher.round()
    found = await action(client)
    assert found is not None
    assert "150 of 700 users (21.4%) in other, 20 of 700 users (2.9%) in control" in found.why
    assert len(await RedisOverlay(client).history(soon())) == 1


async def test_what_a_person_resumed_is_judged_by_what_comes_after(
    redis_server: RedisServer, client: RedisClient
) -> None:
    overlay, watcher = RedisOverlay(client), watcher_of(client)
    expose(redis_server, "control", 900)
    assert await watcher.round()
    paused = await action(client)
    assert paused is not None
    now_ms = int(time.time() * 1000) + 1
    resumed = next_action(paused, Action(Act.RESUME, "anna", "mended", now_ms), KEY)
    await overlay.change(KEY, paused, resumed, soon())
    await asyncio.sleep(0.01)
    ramped = next_action(resumed, Action(Act.RAMP, "anna", "up", now_ms, traffic=5_000), KEY)
    await overlay.change(KEY, resumed, ramped, soon())
    for one in (watcher, watcher_of(client)):
        assert await one.round()
        assert await action(client) == ramped
        await one.close()
    expose(redis_server, "control", 900, name="v")
    assert await watcher.round()
    again = await action(client)
    assert again is not None
    assert (again.act, again.traffic, again.revision) == (Act.PAUSE, 5_000, 4)


async def test_of_two_watchers_one_acts_and_the_other_follows_it(
    redis_server: RedisServer, client: RedisClient
) -> None:
    first, second = watcher_of(client), watcher_of(client)
    assert await first.round()
    assert not await second.round()
    assert second.counts() == []
    with redis_server.client() as behind:
        assert 0 < behind.pttl(LOCK) <= 1000 * module.LOCK_S
        behind.delete(LOCK)  # as when its time is over: the first is gone, or slow
    expose(redis_server, "control", 900)
    assert await second.round()
    assert not await first.round()
    found = await action(client)
    assert found is not None
    assert found.act is Act.PAUSE
    await second.close()
    assert await first.round()


async def test_one_that_lost_its_lock_while_it_read_does_not_act(
    redis_server: RedisServer, client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 100)
    watcher = watcher_of(client)
    expose(redis_server, "control", 900)
    counted = watcher._count

    async def count(stream: str) -> bool:
        with redis_server.client() as behind:
            behind.set(LOCK, "another's")
        return await counted(stream)

    monkeypatch.setattr(watcher, "_count", count)
    assert not await watcher.round()
    assert await action(client) is None


async def test_what_has_no_guard_or_does_not_run_is_left_alone(
    redis_server: RedisServer, client: RedisClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    expose(redis_server, "control", 900)
    ended = experiment(KEY, guard=GUARDED.guard, ends_ms=1)
    for held in (layer(experiment(KEY)), layer(ended), Experiments()):
        watcher = watcher_of(client, held=held)
        assert await watcher.round()
        await watcher.close()
    assert await action(client) is None
    assert caplog.messages.count("watching: no experiment has a guard") == 2


async def test_without_redis_it_is_one_error(
    redis_server: RedisServer, client: RedisClient
) -> None:
    watcher = watcher_of(client)
    redis_server.kill()
    with pytest.raises(OverlayUnavailable):
        await watcher.round()


async def test_the_rights_that_the_page_lists_are_enough(redis_server: RedisServer) -> None:
    page = (Path(__file__).parents[2] / "docs" / "signals.md").read_text()
    listed = re.findall(r"user gateway on >word (.*)", page)[0].split()
    part = page[page.index("Where there are [experiments]") :].partition("\n\n")[0]
    more = [right for told in re.findall(r"`([~+][^`]+)`", part) for right in told.split()]
    assert more
    with redis_server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "gateway", "on", ">word", *listed, *more)
    expose(redis_server, "control", 900)
    client = connect(f"redis://gateway:word@127.0.0.1:{redis_server.port}")
    watcher = watcher_of(client)
    assert await watcher.round()
    await watcher.close()
    assert (await action(client)) is not None
    assert len(await RedisOverlay(client).history(soon())) == 1
    await client.aclose()


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def env(redis_server: RedisServer, tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "experiments.yaml"
    guard = {"sample_ratio": True, "slow": {"ms": 800, "more": "5%"}}
    path.write_text(experiments("whatever@1", "100%", guard=guard))
    return {
        "INTERESTS_REDIS_URL": redis_server.url,
        "INTERESTS_EXPERIMENTS_FILE": str(path),
        "INTERESTS_DATA_DIR": str(tmp_path),
    }


def test_once_says_what_was_counted_and_pauses(
    redis_server: RedisServer, env: dict[str, str]
) -> None:
    expose(redis_server, "control", 900)
    done = interests_here("experiments", "watch", "--once", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{KEY}: control 900, other 0"
    history = interests_here("experiments", "history", env=env).stdout
    assert history.startswith(f"{KEY}: paused by watcher")


def test_once_beside_another_does_nothing_and_says_so(
    redis_server: RedisServer, env: dict[str, str]
) -> None:
    with redis_server.client() as behind:
        behind.set(LOCK, "another's")
    done = interests_here("experiments", "watch", "--once", env=env)
    assert done.returncode == 2
    assert "another watcher is at work" in done.stderr


def test_the_process_watches_until_it_is_told_and_gives_the_lock_back(
    redis_server: RedisServer, env: dict[str, str], tmp_path: Path
) -> None:
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "experiments", "watch"],
            env=env | {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with redis_server.client() as behind:
            wait(lambda: behind.exists(LOCK) == 1, "it has the lock")
            expose(redis_server, "control", 900)
            wait(lambda: paused(behind), "it pauses")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert not behind.exists(LOCK)
    finally:
        process.kill()
        process.wait()
    assert "paused by watcher" in (tmp_path / "log").read_text()


def paused(behind: redis.Redis) -> bool:
    held: Any = behind.hget("experiments:{overlay}", KEY)
    return held is not None and json.loads(held)["by"] == WATCHER


def test_a_bad_file_is_refused_at_the_start(env: dict[str, str]) -> None:
    path = Path(env["INTERESTS_EXPERIMENTS_FILE"])
    path.write_text(yaml.safe_dump({"layers": [{"name": "n"}]}))
    done = interests_here("experiments", "watch", "--once", env=env)
    assert done.returncode == 2
    assert f"{path}:2: layers.0.salt" in done.stderr
