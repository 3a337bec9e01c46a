"""What the search by meaning costs a request: gateways with and without it, asked in turn.

    python -m loadtests.meaning_cost --student .local/students/interests-small/9/student.yaml \
        --encoder .local/encoders/all-minilm-l6-v2/1/encoder.yaml [--against ../before]

Real gateways over a real Redis and embedded indexes, on loopback: this checkout with the encoder,
this checkout without, and another checkout where one is given. Each of them runs twice, with
results kept as by default and with none kept. All run at once, and in each round each is asked in
turn while the others rest:

- `new`: one request at a time of users that it has not seen, whose texts it has not seen either;
- `again`: the same users once more. With results kept none is searched; with none kept all are
  searched, by vectors that are kept;
- `crowd`: `--callers` at once ask for further new users, each as soon as it has its answer.

Without an engine every list is the heuristic's, at once. With `--step-ms` a simulated engine writes
lists of eight words of its own, a token in that time, so there is something to wait for, as in
service: own signals are encoded meanwhile.

Users are the demo's readers with other words: each word is replaced by one drawn from all that the
readers say, wherever that user says it. So texts are as long and repeat as they do there. `CPU` is
what the gateway's process used, which a busy machine changes less than latencies; these are the
caller's, and the stages' medians as the answers tell them. Differences and ratios are taken round
by round; their medians are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import uvloop
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from loadtests.local_gateway import HOST, LocalGateway, environment_of, local_gateway
from loadtests.raw_client import Caller
from models.demo.__main__ import write_demo
from service.manifest import load_manifest

_ROOT = Path(__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")
_SIGNALS = range(20, 61)
"""How many signals the readers have that users are made of."""
_WARM = 10
_NO_ENGINE = {"generation_unavailable"}
_NEW, _AGAIN, _CROWD = "new", "again", "crowd"
_THIS, _WORDS, _OTHER = "with meaning", "words alone", "the other"
_KEPT, _NONE_KEPT = "results kept", "no results kept"


@dataclass(slots=True)
class Round:
    """What one gateway did in one round of one kind."""

    requests: int = 0
    broken: int = 0
    """Answers that were not whole; they are in no figure but the requests a second."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    ms: list[float] = field(default_factory=list)
    retrieve_ms: list[float] = field(default_factory=list)
    fuse_ms: list[float] = field(default_factory=list)
    texts: list[int] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The median latency, ms."""
        return statistics.median(self.ms)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def make_users(signals: Path, count: int, rng: random.Random) -> Iterator[tuple[str, list[bytes]]]:
    """Invented users with their rows: the demo's readers in other words."""
    readers: dict[str, list[dict[str, object]]] = {}
    for row in map(orjson.loads, signals.read_bytes().splitlines()):
        readers.setdefault(row["user_id"], []).append(row)
    patterns = [rows for rows in readers.values() if len(rows) in _SIGNALS]
    words = [w for rows in readers.values() for row in rows for w in str(row["text"]).split()]
    for number in range(count):
        user = f"user-{number:05d}"
        rows, said = [], defaultdict[str, str](lambda: rng.choice(words))
        for row in patterns[number % len(patterns)]:
            text = " ".join([said[word] for word in str(row["text"]).split()])
            rows.append(orjson.dumps({**row, "user_id": user, "text": text, "item": None}))
        yield user, rows


async def ask(gateway: LocalGateway, users: Sequence[str], callers: int) -> Round:
    """Ask for each of the users once, so many at a time."""
    seen = Round(requests=len(users))
    waiting = list(reversed(users))

    async def caller() -> None:
        connection = await Caller.connect(HOST, gateway.port)
        while waiting:
            body = orjson.dumps({"user_id": waiting.pop(), "timeout_ms": 30_000})
            reply = await connection.post("/v1/interests", body)
            answer = orjson.loads(reply.body)
            if reply.status != 200 or set(answer["degraded"]) - _NO_ENGINE:
                seen.broken += 1
                continue
            seen.ms.append(1000 * reply.seconds)
            seen.retrieve_ms.append(answer["timings_ms"]["retrieve"])
            seen.fuse_ms.append(answer["timings_ms"]["fuse"])
            seen.texts.append(len(answer["queries"]))
        connection.close()

    cpu, began = cpu_seconds(gateway.process.pid), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seen.seconds = time.perf_counter() - began
    seen.cpu_s = cpu_seconds(gateway.process.pid) - cpu
    return seen


def cpu_seconds(pid: int) -> float:
    """What a process has used of processors. On Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def load(tree: Path, folder: Path, settings: Mapping[str, str], what: str, file: Path) -> None:
    """Run `interests <what> load` of a checkout."""
    subprocess.run(
        [sys.executable, "-m", "service", what, "load", str(file)],
        cwd=tree,
        env=environment_of(tree, {"DATA_DIR": str(folder), **settings}),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def measure(chosen: argparse.Namespace, scratch: Path) -> dict[tuple[str, str, str], list[Round]]:
    """The rounds, by what was kept, the gateway, and the kind."""
    articles, demo_signals = write_demo(scratch / "demo")
    rng = random.Random(chosen.seed)
    need = _WARM + chosen.rounds * 2 * (chosen.users + chosen.crowd)
    made = dict(make_users(demo_signals, need, rng))
    signals = scratch / "signals.jsonl"
    signals.write_bytes(b"\n".join(row for rows in made.values() for row in rows) + b"\n")
    redis_port = free_port()
    base = {
        "STUDENTS__MAIN__MANIFEST": str(chosen.student.resolve()),
    }
    children = Children(scratch / "log")
    children.start("redis", [redis_server(), "--port", str(redis_port), "--save", ""])
    if chosen.step_ms is not None:
        base["STUDENTS__MAIN__ENGINES"] = json.dumps([_start_engine(chosen, children)])
    encoder = {"ENCODER__MANIFEST": str(chosen.encoder.resolve())}
    systems = {_THIS: (_ROOT, {**base, **encoder}), _WORDS: (_ROOT, base)}
    if chosen.against:
        systems[_OTHER] = (chosen.against.resolve(), base)
    # A database each, or one would reuse the lists that another has kept.
    systems = {
        name: (tree, {**settings, "REDIS_URL": f"redis://{HOST}:{redis_port}/{number}"})
        for number, (name, (tree, settings)) in enumerate(systems.items())
    }
    found: dict[tuple[str, str, str], list[Round]] = {}
    try:
        for _, settings in systems.values():
            load(_ROOT, scratch, settings, "signals", signals)
        with ExitStack() as running:
            gateways = {}
            for name, (tree, settings) in systems.items():
                loaded = scratch / name
                load(tree, loaded, settings, "index", chosen.articles or articles)
                for kept, more in ((_KEPT, {}), (_NONE_KEPT, {"CACHE_ENTRIES": "0"})):
                    folder = scratch / f"{name}, {kept}"
                    shutil.copytree(loaded / "index", folder / "index", symlinks=True)
                    gateways[name, kept] = running.enter_context(
                        local_gateway(tree, folder, {**settings, **more})
                    )
            users = iter(made)
            warm = [next(users) for _ in range(_WARM)]
            for gateway in gateways.values():
                uvloop.run(ask(gateway, warm, 1))
            for number in range(chosen.rounds):
                for kept in (_KEPT, _NONE_KEPT):
                    turn = [next(users) for _ in range(chosen.users)]
                    crowd = [next(users) for _ in range(chosen.crowd)]
                    names = list(systems)
                    for name in names[number % len(names) :] + names[: number % len(names)]:
                        for kind, whom, callers in (
                            (_NEW, turn, 1),
                            (_AGAIN, turn, 1),
                            (_CROWD, crowd, chosen.callers),
                        ):
                            seen = uvloop.run(ask(gateways[name, kept], whom, callers))
                            found.setdefault((kept, kind, name), []).append(seen)
    finally:
        children.stop()
    return found


def _start_engine(chosen: argparse.Namespace, children: Children) -> str:
    """The simulated engine's URL."""
    model, port = load_manifest(chosen.student).key, str(free_port())
    module = [sys.executable, "-m", "loadtests.engine_simulator"]
    speed = ["--step-ms", str(chosen.step_ms)]
    children.start("engine", [*module, "--port", port, "--model", model, *speed])
    return f"http://{HOST}:{port}"


def report(found: Mapping[tuple[str, str, str], list[Round]]) -> Table:
    """A table, each kind's gateways below each other, beside the last of them."""
    broken = sum(seen.broken for rounds in found.values() for seen in rounds)
    heads = "", "asked", "gateway", "texts", "p50 ms", "p95 ms", "retrieve", "fuse", "CPU ms", "/s"
    left_out = f"{broken} answers were not whole and are left out" if broken else None
    table = Table(*heads, "p50 more", "CPU more", "/s ratio", box=SIMPLE_HEAD, caption=left_out)
    last = ("", "", "")
    for key, rounds in sorted(found.items(), key=_place):
        kept, kind, name = key
        reference = found.get((kept, kind, _OTHER)) or found[kept, kind, _WORDS]
        pairs = list(zip(rounds, reference, strict=True))
        ms = [one for seen in rounds for one in seen.ms]
        if key[:2] != last[:2]:
            table.add_section()
        last = key
        requests = sum(seen.requests for seen in rounds)
        cells = [
            statistics.median(n for seen in rounds for n in seen.texts),
            statistics.median(ms),
            statistics.quantiles(ms, n=20)[18],
            statistics.median(one for seen in rounds for one in seen.retrieve_ms),
            statistics.median(one for seen in rounds for one in seen.fuse_ms),
            1000 * sum(seen.cpu_s for seen in rounds) / requests,
            statistics.median(seen.rate for seen in rounds),
            statistics.median(a.p50 - b.p50 for a, b in pairs),
            statistics.median(1000 * (a.cpu_s - b.cpu_s) / a.requests for a, b in pairs),
        ]
        ratio = statistics.median(a.rate / b.rate for a, b in pairs)
        table.add_row(*key[:2], name, *(f"{cell:.1f}" for cell in cells), f"{ratio:.2f}")
    return table


def _place(item: tuple[tuple[str, str, str], list[Round]]) -> tuple[int, int, int]:
    kept, kind, name = item[0]
    kinds, names = (_NEW, _AGAIN, _CROWD), (_THIS, _WORDS, _OTHER)
    return (kept == _NONE_KEPT, kinds.index(kind), names.index(name))


def main() -> None:
    """Read the arguments, measure, print a table."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--student", type=Path, required=True, help="a built student's student.yaml")
    cli.add_argument("--encoder", type=Path, required=True, help="a built encoder's encoder.yaml")
    cli.add_argument("--against", type=Path, help="another checkout, the reference where given")
    cli.add_argument("--articles", type=Path, help="instead of the demo's")
    cli.add_argument("--rounds", type=int, default=5)
    cli.add_argument("--users", type=int, default=40, help="asked one at a time, in each round")
    cli.add_argument("--crowd", type=int, default=80, help="asked by many callers, in each round")
    cli.add_argument("--callers", type=int, default=8)
    cli.add_argument("--step-ms", type=float, help="with a simulated engine: of a token")
    cli.add_argument("--seed", type=int, default=1)
    chosen = cli.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(chosen, Path(scratch))
    Console(width=150).print(report(found))


if __name__ == "__main__":
    main()
