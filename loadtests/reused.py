"""Users who come again: answers a second of a gateway on one core, beside the floor.

    python -m loadtests.reused
    python -m loadtests.reused --against ../before    # another checkout in the same rounds

Users have signals in a real Redis and a list that is kept of their last request; the embedded index
has 10,000 articles. So a request reads the store, reuses the list, takes the queries' results
(mostly from the gateway's memory, as of users who come again), merges them, and answers with 100
candidates. `--callers` ask over kept connections, each as soon as it has its answer.

The floor (`loadtests.floor`) is a bare FastAPI application with the same models, which answers with
a ready object of the same size, on the same core. The sides are asked in turns. What is printed is
the ratio of the medians: the share of the framework's own speed that is left when the work is done.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson

from loadtests.rig import script
from loadtests.rig.articles import write_articles
from loadtests.rig.gateways import (
    Checkout,
    Loaded,
    checkouts,
    keep_lists,
    made_by,
    said_of,
)
from loadtests.rig.loops import Request
from loadtests.rig.machine import describe
from loadtests.rig.parts import Parts, parts, wait_until_up
from loadtests.rig.plots import of_rounds
from loadtests.rig.results import Result, finish
from loadtests.rig.rounds import Measured, Side, in_turns
from loadtests.rig.sides import CPU_MS, PER_S, closed_side
from loadtests.rig.tables import compared, cpu_said, rounds_said
from loadtests.rig.users import dealt

FLOOR = "floor"
_SIGNALS = 20
_TOKENS = 32
_LIMIT = 100
_JSON = {"content-type": "application/json"}


def main() -> None:
    """Read the flags, measure, show and write."""
    cli = script.flags(__doc__)
    cli.add_argument("--users", type=int, default=40)
    cli.add_argument("--articles", type=int, default=10_000, help="in the embedded index")
    cli.add_argument("--callers", type=int, default=16)
    cli.add_argument("--against", type=Path, help="another checkout, in the same rounds")
    chosen = script.read(cli)
    machine = describe()
    sides = checkouts(chosen.against)
    with parts() as here:
        measured = in_turns(_sides(chosen, here, sides), chosen.rounds)
        cores = here.cores.said
    heads, rows = compared(measured, FLOOR, PER_S)
    result = Result(
        name="reused",
        title=f"Reused lists, {_LIMIT} candidates, {chosen.callers} callers",
        heads=heads,
        rows=rows,
        data={
            "asked": script.asked(chosen, signals=_SIGNALS, limit=_LIMIT),
            "turns": measured.turns,
            "ratio_to_floor": _ratios(measured),
        },
        said=[
            *(
                f"{name}: {ratio:.3f} of the floor's answers a second."
                for name, ratio in _ratios(measured).items()
            ),
            *cpu_said(measured, FLOOR, CPU_MS),
            f"{rounds_said(chosen.rounds, chosen.seconds)}; {cores}.",
            *said_of(sides),
        ],
        draw=of_rounds(measured, PER_S),
    )
    finish(result, machine, chosen.results)


def _ratios(measured: Measured) -> dict[str, float]:
    names = [name for name in measured.sides if name != FLOOR]
    return {name: measured.ratio(name, FLOOR, PER_S).median for name in names}


def _sides(chosen: argparse.Namespace, here: Parts, sides: list[Checkout]) -> list[Side]:
    """The floor, and each gateway with every user's list kept."""
    users = dealt(range(chosen.users), _SIGNALS)
    articles = here.folder / "articles.jsonl"
    write_articles(chosen.articles, articles)
    loaded = Loaded(
        here,
        redis=here.redis(),
        student=chosen.student,
        engine=here.engine(chosen.student, 0.0, _TOKENS),
        articles=articles,
        users=users,
    )
    requests = [
        Request(orjson.dumps({"user_id": user, "limit": _LIMIT, "timeout_ms": 10_000}))
        for user in users
    ]
    found: list[Side] = []
    answer = here.folder / "answer.json"
    for side, gateway in loaded.start(sides):
        wait_until_up(gateway, "redis", "index", "student")
        kept = keep_lists(gateway, requests, _LIMIT)
        if not answer.exists():
            answer.write_bytes(kept)
            floor = here.serve("floor", "--answer", str(answer), measured=True)
            found.append(_side(chosen, FLOOR, floor.port, floor.pid, requests))
        found.append(_side(chosen, side.name, gateway.port, gateway.process.pid, requests))
    return found


def _side(
    chosen: argparse.Namespace, name: str, port: int, pid: int, requests: list[Request]
) -> Side:
    return closed_side(
        name,
        port,
        lambda number: requests[number % len(requests)],
        callers=chosen.callers,
        seconds=chosen.seconds,
        judge=made_by("reused"),
        pid=pid,
    )


if __name__ == "__main__":
    script.run(main)
