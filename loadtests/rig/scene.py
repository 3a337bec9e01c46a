"""The stage of those scenarios in which every request is answered anew: no list is reused.

Requests bring a user's signals with them, each user's own, so that neither a list nor the result of
a query is known from before. The engine simulator writes the lists; the index is a stub, or the
embedded one. References can be given the same requests, engine and index, as further sides.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from loadtests.local_gateway import LocalGateway
from loadtests.rig.articles import write_articles
from loadtests.rig.gateways import Checkout, Loaded, made_by
from loadtests.rig.loops import Judge, Make, Request
from loadtests.rig.parts import Parts, Process, wait_until_up
from loadtests.rig.rounds import Side
from loadtests.rig.sides import closed_side
from loadtests.rig.users import inline, reworded
from service.records import Signal

_USERS = 2_000
_LISTS = 997
"""Kinds of lists that the engine writes, so that most queries have not been searched lately."""
_TIMEOUT_MS = 30_000
FRESH = made_by("fresh")


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs, and what is asked."""

    here: Parts
    engine: Process
    index: Process | None
    """The stub; None where the index is the embedded one."""
    users: Sequence[tuple[str, Sequence[Signal]]]
    requests: Sequence[Request]
    """One for each user, its signals inline."""
    loaded: Loaded

    def gateways(self, sides: Sequence[Checkout]) -> Iterator[tuple[Checkout, LocalGateway]]:
        """Start a gateway for each; they are ready when they are given."""
        for side, gateway in self.loaded.start(sides):
            wait_until_up(gateway, "redis", "index", "student")
            yield side, gateway

    def closed(
        self, name: str, port: int, pid: int, chosen: argparse.Namespace, judge: Judge = FRESH
    ) -> Side:
        """A side that `--callers` ask for `--seconds` a turn."""
        return closed_side(
            name,
            port,
            in_turn(self.requests),
            callers=chosen.callers,
            seconds=chosen.seconds,
            judge=judge,
            pid=pid,
        )


def add_flags(cli: argparse.ArgumentParser, step_ms: float = 1.0) -> None:
    """The flags that `build` reads."""
    cli.add_argument("--callers", type=int, default=16)
    cli.add_argument("--signals", type=int, default=20, help="in each request")
    cli.add_argument("--tokens", type=int, default=32, help="of each list")
    cli.add_argument("--step-ms", type=float, default=step_ms, help="of a token; 0: at once")
    cli.add_argument("--index", choices=("stub", "embedded"), default="stub")
    cli.add_argument("--articles", type=int, default=10_000, help="in the embedded index")


def build(
    chosen: argparse.Namespace,
    here: Parts,
    *engine_flags: str,
    users: int = _USERS,
    stored: int = 0,
    more: dict[str, str] | None = None,
) -> Scene:
    """Start Redis, the engine and the index. `more` are further settings of the gateways.

    The first `stored` users have their signals in Redis instead of in their requests.
    """
    made = list(reworded(users, chosen.signals))
    index = here.serve("stub_index") if chosen.index == "stub" else None
    articles: Path | None = None
    if index is None:
        articles = here.folder / "articles.jsonl"
        write_articles(chosen.articles, articles)
    lists = ("--lists", str(_LISTS))
    engine = here.engine(chosen.student, chosen.step_ms, chosen.tokens, *lists, *engine_flags)
    return Scene(
        here=here,
        engine=engine,
        index=index,
        users=made,
        requests=[
            _request(user, () if number < stored else signals)
            for number, (user, signals) in enumerate(made)
        ],
        loaded=Loaded(
            here,
            redis=here.redis(),
            student=chosen.student,
            engine=engine,
            index=index,
            articles=articles,
            users=dict(made[:stored]) if stored else None,
            more={"REUSE_MAX_AGE_S": "0", **(more or {})},
        ),
    )


def _request(user: str, signals: Sequence[Signal]) -> Request:
    body = {"user_id": user, "signals": inline(signals), "timeout_ms": _TIMEOUT_MS}
    return Request(orjson.dumps(body))


def in_turn(requests: Sequence[Request]) -> Make:
    """One request after the other, over all turns of a side: the next turn goes on.

    So what a turn asks for has left the caches by the time it is asked for again.
    """
    numbers: Callable[[], int] = itertools.count().__next__
    return lambda _: requests[numbers() % len(requests)]
