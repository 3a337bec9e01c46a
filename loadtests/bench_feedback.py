"""Feedback that one gateway process takes, on one core.

    python -m loadtests.bench_feedback --student .local/students/interests-small/9/student.yaml
        [--events 100000] [--batch 1000] [--callers 4]

A real gateway over a real Redis, which acknowledges every event before it answers. The gateway has
a core of its own where there are two, and shares none with the callers and Redis. All events are
new, of a thousand users, each with a request id that is signed as the gateway signs. Prints events
a second by the clock, and what an event costs the gateway and Redis in CPU time: on cores that
others use too, the gateway's is what tells how many a core of its own would take.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import uvloop

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from loadtests.local_gateway import HOST, local_gateway
from loadtests.raw_client import Caller
from service.identity import Identity

_ROOT = Path(__file__).parents[1]
_SECRET = "the secret of the load test"
_USERS = 1_000
_TICKS_S = os.sysconf("SC_CLK_TCK")


def bodies(events: int, batch: int) -> list[bytes]:
    """Calls with as many events each, none of them twice; some users have several."""
    identity = Identity(_SECRET.encode())
    users = [f"user-{number:08d}" for number in range(_USERS)]
    requests = [(user, identity.request_id(user)) for user in users]
    kinds = itertools.cycle(("impression", "impression", "impression", "click", "dwell"))
    numbers = itertools.count()
    found = []
    for _ in range(0, events, batch):
        lot = []
        for _ in range(batch):
            number, kind = next(numbers), next(kinds)
            user, request_id = requests[number % _USERS]
            event = {"event_id": f"page-{number}", "request_id": request_id, "user_id": user}
            event |= {"kind": kind, "article_id": f"article-{number % 100:07d}"}
            lot.append(event | ({"dwell_ms": 12_345} if kind == "dwell" else {}))
        found.append(orjson.dumps({"events": lot}))
    return found


async def send(port: int, calls: list[bytes], callers: int) -> int:
    """How many events were stored, of calls sent by so many callers, each after its answer."""
    left = iter(calls)
    stored = 0

    async def one() -> None:
        nonlocal stored
        caller = await Caller.connect(HOST, port)
        for body in left:
            reply = await caller.post("/v1/feedback", body)
            if reply.status != 200:
                raise RuntimeError(f"{reply.status}: {reply.body[:200]!r}")
            stored += orjson.loads(reply.body)["stored"]
        caller.close()

    await asyncio.gather(*(one() for _ in range(callers)))
    return stored


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_S


def pin(pid: int, cores: set[int]) -> None:
    """Let a process run on these cores alone, with all its threads."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def cores() -> Iterator[set[int]]:
    """The gateway's core, and those of everything else: the same where there is one."""
    mine = sorted(os.sched_getaffinity(0))
    yield {mine[0]}
    yield set(mine[1:]) or {mine[0]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--student", type=Path, required=True, help="a built student.yaml")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--callers", type=int, default=4)
    chosen = parser.parse_args()
    own, others = cores()
    with tempfile.TemporaryDirectory() as scratch:
        folder, redis_port = Path(scratch), free_port()
        children = Children(folder / "log")
        server = children.start("redis", [redis_server(), "--port", str(redis_port), "--save", ""])
        settings = {
            "REDIS_URL": f"redis://{HOST}:{redis_port}/0",
            "STUDENTS__MAIN__MANIFEST": str(chosen.student.resolve()),
            "SECRET": _SECRET,
        }
        try:
            with local_gateway(_ROOT, folder, settings) as gateway:
                pin(gateway.process.pid, own)
                pin(server.process.pid, others)
                pin(os.getpid(), others)
                warm, *calls = bodies(chosen.events + chosen.batch, chosen.batch)
                uvloop.run(send(gateway.port, [warm], 1))
                pids = gateway.process.pid, server.process.pid
                before, began = [cpu_s(pid) for pid in pids], time.perf_counter()
                stored = uvloop.run(send(gateway.port, calls, chosen.callers))
                took = time.perf_counter() - began
                used = [cpu_s(pid) - was for pid, was in zip(pids, before, strict=True)]
        finally:
            children.stop()
    sent = len(calls) * chosen.batch
    if stored != sent:
        raise RuntimeError(f"{sent - stored} of {sent} events were not stored")
    micros = [1e6 * seconds / sent for seconds in used]
    sys.stdout.write(
        f"{sent:,} events in calls of {chosen.batch:,}: {sent / took:,.0f} a second\n"
        f"CPU an event: gateway {micros[0]:.1f} µs ({1e6 / micros[0]:,.0f} a second on a core of "
        f"its own), Redis {micros[1]:.1f} µs\n"
    )


if __name__ == "__main__":
    main()
