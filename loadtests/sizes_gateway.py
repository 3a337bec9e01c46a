"""How much memory a gateway takes: for users answered, for connections, for users being served.

    python -m loadtests.sizes_gateway --student .local/students/interests-small/9/student.yaml

A gateway over the demo's embedded index, without
an encoder, has an engine that answers at once, and then takes a second and a half for each token:
so all requests from then on stay in work together. Measured is its resident memory. Memory that a
Python program has once had it seldom gives back, so each figure is what comes on top of the most
before it, and each step has many of its kind. Loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson

from deploy.local.processes import Children, free_port
from loadtests.local_gateway import HOST, LocalGateway, environment_of, local_gateway
from loadtests.raw_client import Caller
from loadtests.rig.users import dealt
from loadtests.sizes import own_redis, store_signals
from models.demo.__main__ import write_demo
from service.manifest import load_manifest

_ROOT = Path(__file__).parents[1]
_SIGNALS = 50
_ANSWERED, _CONNECTIONS, _IN_WORK = 2_000, 4_000, 1_000
_DEADLINE_MS = 30_000


async def _measured(gateway: LocalGateway, engine: str) -> list[str]:
    lines = []
    before = gateway.rss_mb()
    (caller,) = await _callers(gateway, 1)
    for number in range(_ANSWERED):
        await _ask(caller, number)
    answered = gateway.rss_mb()
    lines.append(f"gateway: {before:.0f} MB, after {_ANSWERED:,} users {answered:.0f} MB")
    callers = await _callers(gateway, _CONNECTIONS)
    for one in callers:
        await one.post("/nowhere", b"{}")
    kept = gateway.rss_mb()
    each = (kept - answered) * 1000 / _CONNECTIONS
    lines.append(f"a connection kept alive: {each:.1f} KB ({_CONNECTIONS:,} of them)")
    async with httpx.AsyncClient() as client:
        slow = {"step_ms": 1500.0}
        (await client.post(f"{engine}/simulator", json=slow)).raise_for_status()
    asked = []
    for number, one in enumerate(callers[:_IN_WORK]):
        asked.append(asyncio.create_task(_ask(one, _ANSWERED + number)))
        await asyncio.sleep(0.005)
    in_work = gateway.rss_mb()
    waiting = sum(not task.done() for task in asked)
    each = (in_work - kept) * 1000 / max(1, waiting)
    lines.append(f"a user being served: {each:.1f} KB ({waiting:,} of them)")
    for task in asked:
        task.cancel()
    for one in callers:
        one.close()
    return lines


async def _callers(gateway: LocalGateway, count: int) -> list[Caller]:
    return [await Caller.connect(HOST, gateway.port) for _ in range(count)]


async def _ask(caller: Caller, number: int) -> int:
    body = {"user_id": f"user-{number:07}", "timeout_ms": _DEADLINE_MS}
    return (await caller.post("/v1/interests", orjson.dumps(body))).status


@contextmanager
def _served(student: Path, url: str) -> Iterator[tuple[LocalGateway, str]]:
    """A gateway and the URL of its engine, which is in service."""
    with tempfile.TemporaryDirectory(prefix="interests-") as name:
        folder, port = Path(name), free_port()
        children = Children(folder / "logs")
        engine = f"http://{HOST}:{port}"
        articles, _ = write_demo(folder)
        command = [sys.executable, "-m", "service", "index", "load", str(articles)]
        env = environment_of(_ROOT, {"DATA_DIR": str(folder)})
        subprocess.run(command, env=env, check=True, capture_output=True)
        settings = {
            "REDIS_URL": url,
            "STUDENTS__MAIN__MANIFEST": str(student.resolve()),
            "STUDENTS__MAIN__ENGINES": f'["{engine}"]',
            "STUDENTS__MAIN__WINDOW": "4096",
            "STUDENTS__MAIN__TIMEOUT_MS": str(_DEADLINE_MS),
            "MAX_IN_FLIGHT": str(2 * _IN_WORK),
        }
        module = [sys.executable, "-m", "loadtests.engine_simulator", "--port", str(port)]
        model = load_manifest(student).key
        try:
            children.start(
                "engine", [*module, "--model", model, "--step-ms", "1", "--max-seqs", "4096"]
            )
            with local_gateway(_ROOT, folder, settings) as gateway:
                time.sleep(3)  # until the engine has passed its probe
                yield gateway, engine
        finally:
            children.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--student", type=Path, required=True, help="a built student.yaml")
    given = parser.parse_args()
    with own_redis() as (_, url):
        asyncio.run(store_signals(dealt(range(_ANSWERED + _IN_WORK), _SIGNALS), url))
        with _served(given.student, url) as (gateway, engine):
            for line in asyncio.run(_measured(gateway, engine)):
                sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
