"""Many callers with a short deadline: how many are answered in time, late, or refused.

    python -m loadtests.crowd --student .local/students/interests-small/9/student.yaml
    python -m loadtests.crowd --student … --callers 250 --against ../before   # another checkout

A closed loop of callers asks a real gateway over a real Redis and the embedded index, with no
engine (every list is the heuristic's), on loopback; each caller asks again as soon as it has its
answer, or when `Retry-After` says. An answer is late when its last byte comes more than 10 ms after
the deadline, by this side's clock, on the same cores. "With signals": in time, and made of the
user's signals. With another checkout both are measured in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import uvloop
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from loadtests.local_gateway import HOST, environment_of, local_gateway
from loadtests.raw_client import Caller, Reply
from models.demo.__main__ import write_demo

_LATE_S = 0.010
_ROOT = Path(__file__).parents[1]


@dataclass(slots=True)
class Seen:
    """What the callers of one round were answered."""

    answered: int = 0
    late: int = 0
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0
    times_s: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    whole: int = 0

    def add(self, reply: Reply, late_s: float) -> None:
        """Count an answer."""
        if reply.status == 429:
            self.refused += 1
        elif reply.status != 200:
            self.failed += 1
        else:
            reasons = orjson.loads(reply.body)["degraded"]
            late = reply.seconds > late_s
            self.answered += 1
            self.late += late
            self.whole += not late and "signals_unavailable" not in reasons
            self.times_s.append(reply.seconds)
            self.reasons.update(reasons)

    @property
    def goodput(self) -> float:
        """Answers in time, a second."""
        return (self.answered - self.late) / self.seconds

    @property
    def whole_goodput(self) -> float:
        """Those among them that were made of the user's signals."""
        return self.whole / self.seconds


async def round_of(
    port: int, users: Sequence[str], callers: int, deadline_ms: int, seconds: float
) -> Seen:
    """Let so many callers ask for so many seconds."""
    seen = Seen()
    began = time.perf_counter()

    async def caller(number: int) -> None:
        turn = number
        connection = await Caller.connect(HOST, port)
        while time.perf_counter() < began + seconds:
            turn += callers
            body = {"user_id": users[turn % len(users)], "timeout_ms": deadline_ms}
            try:
                reply = await connection.post("/v1/interests", orjson.dumps(body))
            except ConnectionError:
                seen.failed += 1
                connection = await Caller.connect(HOST, port)
                continue
            seen.add(reply, deadline_ms / 1000 + _LATE_S)
            if reply.retry_after_s is not None:
                await asyncio.sleep(reply.retry_after_s)
        connection.close()

    await asyncio.gather(*map(caller, range(callers)))
    seen.seconds = time.perf_counter() - began
    return seen


def load_demo(folder: Path, redis_port: int, more: Mapping[str, str] | None = None) -> list[str]:
    """Put the demo into index and Redis. Returns its users with 20 to 60 signals.

    `more` are further settings, by names without `INTERESTS_`.
    """
    articles, signals = write_demo(folder / "demo")
    parts = {"DATA_DIR": str(folder), "REDIS_URL": f"redis://{HOST}:{redis_port}/0"}
    environment = environment_of(_ROOT, {**parts, **(more or {})})
    for what, file in (("index", articles), ("signals", signals)):
        command = [sys.executable, "-m", "service", what, "load", str(file)]
        subprocess.run(command, cwd=_ROOT, env=environment, check=True, capture_output=True)
    rows = map(orjson.loads, signals.read_bytes().splitlines())
    counted = Counter(str(row["user_id"]) for row in rows)
    return [user for user, count in counted.items() if 20 <= count <= 60]


def main() -> None:
    """Read the arguments, measure in turns, print a table."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--callers", type=int, nargs="+", default=[1, 8, 32, 64, 128, 250])
    cli.add_argument("--deadline-ms", type=int, default=300)
    cli.add_argument("--seconds", type=float, default=5.0, help="of each round")
    cli.add_argument("--rounds", type=int, default=3)
    cli.add_argument("--student", type=Path, required=True, help="a built student's student.yaml")
    cli.add_argument("--against", type=Path, help="another checkout, measured in turns with this")
    chosen = cli.parse_args()
    trees = [_ROOT, *([chosen.against.resolve()] if chosen.against else [])]
    heads = (
        "code",
        "callers",
        "in time/s",
        "with signals/s",
        "late",
        "refused",
        "failed",
        "p50 ms",
        "p99 ms",
    )
    table = Table(*heads, "degraded", box=SIMPLE_HEAD)
    with tempfile.TemporaryDirectory() as scratch:
        folder, redis_port = Path(scratch), free_port()
        children = Children(folder / "log")
        children.start("redis", [redis_server(), "--port", str(redis_port), "--save", ""])
        try:
            users = load_demo(folder, redis_port)
            settings = {
                "REDIS_URL": f"redis://{HOST}:{redis_port}/0",
                "STUDENTS__MAIN__MANIFEST": str(chosen.student.resolve()),
            }
            for callers in chosen.callers:
                rows: dict[Path, list[Seen]] = {tree: [] for tree in trees}
                for _ in range(chosen.rounds):
                    for tree in trees:
                        with local_gateway(tree, folder, settings) as gateway:
                            seen = uvloop.run(
                                round_of(
                                    gateway.port, users, callers, chosen.deadline_ms, chosen.seconds
                                )
                            )
                        rows[tree].append(seen)
                for tree, rounds in rows.items():
                    table.add_row(
                        "this" if tree == _ROOT else "the other", *_cells(callers, rounds)
                    )
        finally:
            children.stop()
    Console(width=150).print(table)


def _cells(callers: int, rounds: Sequence[Seen]) -> list[str]:
    answered = sum(seen.answered for seen in rounds)
    times = [time_s * 1000 for seen in rounds for time_s in seen.times_s] or [float("nan")]
    reasons = sum((seen.reasons for seen in rounds), Counter())
    reasons.pop("generation_unavailable", None)
    return [
        str(callers),
        f"{np.median([seen.goodput for seen in rounds]):.0f}",
        f"{np.median([seen.whole_goodput for seen in rounds]):.0f}",
        f"{sum(seen.late for seen in rounds) / max(answered, 1):.2%}",
        str(sum(seen.refused for seen in rounds)),
        str(sum(seen.failed for seen in rounds)),
        f"{np.percentile(times, 50):.0f}",
        f"{np.percentile(times, 99):.0f}",
        ", ".join(f"{name} {count / max(answered, 1):.1%}" for name, count in reasons.items()),
    ]


if __name__ == "__main__":
    main()
