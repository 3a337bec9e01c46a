"""Axes along which one gateway on one core is asked.

Each turn of a size has two parts: `CALLERS` callers for its CPU an answer, then a single one for
the time of an answer without a queue. The engine simulator writes tokens as fast as it can, and the
stub index answers 50 ready hits a query, so that what grows is the gateway's own. Except for the
candidates, every list is written anew and no result of a query is kept.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import orjson
import uvloop
import yaml

from loadtests.growth.axes import Grown, points_of
from loadtests.growth.run import Run
from loadtests.local_gateway import HOST, LocalGateway
from loadtests.rig import scene
from loadtests.rig.gateways import checkouts, keep_lists, made_by
from loadtests.rig.loops import Judge, Make, Request, closed_loop
from loadtests.rig.parts import Parts, parts, wait_until_up
from loadtests.rig.rounds import Figures, Side, in_turns
from loadtests.rig.scene import FRESH, Scene, in_turn
from loadtests.rig.sides import CORE, CPU_MS, NOT_OK, turn_of
from loadtests.rig.users import dealt, reworded
from service.errors import ConfigurationError
from service.manifest import MANIFEST
from service.records import Signal

CALLERS = 16
P50 = "p50 ms"
SIGNALS = 20
"""Of a user, along the other axes."""
TOKENS = 64
LINE_WORDS = 2
"""So a list of `TOKENS` has 32 queries, the most that may be asked for."""
QUERIES = 8
"""As a request asks for unless it says otherwise."""
LIMIT = 100
_TIMEOUT_MS = 30_000
_JSON = {"content-type": "application/json"}
_OWN_LINES = ("--line-words", str(LINE_WORDS), "--own-lines")
_NOTHING_KEPT = {"CACHE_ENTRIES": "0"}
_FIGURES = (CPU_MS, P50, CORE, NOT_OK)


def side(run: Run, name: str, gateway: LocalGateway, make: Make, judge: Judge = FRESH) -> Side:
    """A size of an axis: CPU an answer under load, and p50 of a caller alone."""
    pid, port = gateway.process.pid, gateway.port

    def turn() -> Figures:
        def asked(callers: int, share: float) -> Figures:
            seconds = share * run.seconds
            loop = closed_loop(HOST, port, make, callers=callers, seconds=seconds, judge=judge)
            return turn_of(name, lambda: uvloop.run(loop), pid)

        full, alone = asked(CALLERS, 0.6), asked(1, 0.4)
        not_ok = full[NOT_OK] + alone[NOT_OK]
        return {CPU_MS: full[CPU_MS], P50: alone[P50], CORE: full[CORE], NOT_OK: not_ok}

    return Side(name, turn)


def measured(run: Run, axis: str, size: str, constant: str, sides: Mapping[int, Side]) -> Grown:
    """Measure the sizes in turns."""
    found = in_turns(list(sides.values()), run.rounds)
    named = {one.name: float(number) for number, one in sides.items()}
    return Grown(axis, size, constant, points_of(found, named, _FIGURES))


def signals(run: Run) -> Grown:
    """Signals that are stored of a user. `INTERESTS_SIGNALS_KEPT` is raised to the largest size."""
    sizes = run.sizes((5, 16, 50, 160, 500), (5, 50))
    each = 20 if run.quick else 300
    made = {
        number: {f"s{number}-{user}": held for user, held in reworded(each, number)}
        for number in sizes
    }
    with parts(run.cores) as here:
        there = study(run, here, users=1, more={"SIGNALS_KEPT": str(max(sizes)), **_NOTHING_KEPT})
        everyone: dict[str, Sequence[Signal]] = {
            user: held for users in made.values() for user, held in users.items()
        }
        loaded = dataclasses.replace(there.loaded, users=everyone)
        _, gateway = next(loaded.start(checkouts(None)))
        wait_until_up(gateway, "redis", "index", "student")
        sides = {
            number: side(run, f"{number} signals", gateway, in_turn([stored(u) for u in users]))
            for number, users in made.items()
        }
        constant = (
            f"Signals are in Redis, the prompt shows what fits into it; lists of {TOKENS} tokens, "
            f"{QUERIES} queries of them and 12 own signals searched, {LIMIT} candidates, 1 sample."
        )
        return measured(run, "signals", "signals a user", constant, sides)


def queries(run: Run) -> Grown:
    """Queries that a list may have; the engine always writes the tokens of 32."""
    sizes = run.sizes((1, 2, 4, 8, 16, 32), (1, 8))
    with parts(run.cores) as here:
        there = study(run, here)
        _, gateway = next(there.gateways(checkouts(None)))
        sides = {}
        for number in sizes:
            asked = [_with(request, max_queries=number) for request in there.requests]
            _check_queries(gateway, asked[0], number)
            sides[number] = side(run, f"{number} queries", gateway, in_turn(asked))
        constant = (
            f"{SIGNALS} inline signals, lists of {TOKENS} tokens, 1 sample, {LIMIT} candidates. "
            "Beside the list's queries up to 12 own signals are searched."
        )
        return measured(run, "queries", "queries", constant, sides)


def samples(run: Run) -> Grown:
    """Samples of a list: a gateway for each number, with a manifest that asks for so many."""
    sizes = run.sizes((1, 2, 4, 8, 16), (1, 4))
    with parts(run.cores) as here:
        there = study(run, here)
        sides = {}
        for number in sizes:
            student = sampled(run.student, here.folder / f"n{number}", number)
            loaded = dataclasses.replace(there.loaded, student=student)
            _, gateway = next(loaded.start(checkouts(None)))
            wait_until_up(gateway, "redis", "index", "student")
            sides[number] = side(run, f"{number} samples", gateway, in_turn(there.requests))
        constant = (
            f"{SIGNALS} inline signals, samples of {TOKENS} tokens, {QUERIES} queries and 12 own "
            f"signals searched, {LIMIT} candidates."
        )
        return measured(run, "samples", "samples", constant, sides)


def candidates(run: Run) -> Grown:
    """Candidates of an answer, from kept lists whose results are kept, too."""
    sizes = run.sizes((1, 5, 20, 100, 500), (1, 100))
    users = dealt(range(10 if run.quick else 40), SIGNALS)
    with parts(run.cores) as here:
        gateway = _of_stored(run, here, users, {"CACHE_TTL_S": "3600"})
        sides = {}
        for number in sizes:
            asked = [stored(user, limit=number) for user in users]
            keep_lists(gateway, asked, number)
            reused = made_by("reused")
            sides[number] = side(run, f"{number} candidates", gateway, in_turn(asked), reused)
        constant = (
            f"{SIGNALS} signals in Redis, a kept list of {QUERIES} queries and 12 own signals, all "
            "results kept in the gateway: what most requests are."
        )
        return measured(run, "candidates", "candidates", constant, sides)


def returning(run: Run) -> Grown:
    """Users who come again in turn: the more there are, the less of them a gateway remembers."""
    sizes = run.sizes((10, 100, 1_000), (5, 20))
    users = dict(reworded(max(sizes), SIGNALS))
    with parts(run.cores) as here:
        gateway = _of_stored(run, here, users, {})
        asked = [stored(user) for user in users]
        keep_lists(gateway, asked, LIMIT)
        sides = {
            number: side(
                run, f"{number} users", gateway, in_turn(asked[:number]), made_by("reused")
            )
            for number in sizes
        }
        constant = (
            f"{SIGNALS} signals in Redis, in words of each user's own, kept lists of {QUERIES} "
            f"queries and 12 own signals, {LIMIT} candidates. A user who is asked for first after "
            "many others is read, and the list is searched; after few, both are remembered."
        )
        return measured(run, "returning", "users in turn", constant, sides)


def _of_stored(
    run: Run, here: Parts, users: Mapping[str, Sequence[Signal]], more: Mapping[str, str]
) -> LocalGateway:
    """A gateway that reuses kept lists of users whose signals are in Redis."""
    there = study(run, here, users=1)
    settings = {"REUSE_MAX_AGE_S": "3600", **more}
    _, gateway = next(
        dataclasses.replace(there.loaded, users=users, more=settings).start(checkouts(None))
    )
    wait_until_up(gateway, "redis", "index", "student")
    return gateway


def sampled(student: Path, folder: Path, number: int) -> Path:
    """A built student's `student.yaml` anew, with so many samples; its files are linked."""
    folder.mkdir()
    for file in student.parent.iterdir():
        if file.name != MANIFEST:
            (folder / file.name).symlink_to(file.resolve())
    manifest = yaml.safe_load(student.read_text(encoding="utf-8"))
    manifest["decoding"] |= {"n": number, "temperature": 0.8}
    (folder / MANIFEST).write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return folder / MANIFEST


def study(
    run: Run, here: Parts, users: int | None = None, more: Mapping[str, str] | None = None
) -> Scene:
    """Redis, engine and stub index, and users with inline signals of whom each is another."""
    chosen = argparse.Namespace(
        student=run.student, signals=SIGNALS, tokens=TOKENS, step_ms=0.0, index="stub"
    )
    users = users or (100 if run.quick else 2_000)
    return scene.build(chosen, here, *_OWN_LINES, users=users, more=dict(more or _NOTHING_KEPT))


def stored(user: str, **more: int) -> Request:
    """A request for a user whose signals are in Redis, with further fields."""
    return Request(orjson.dumps({"user_id": user, "timeout_ms": _TIMEOUT_MS, **more}))


def _with(request: Request, **more: int) -> Request:
    return dataclasses.replace(request, body=orjson.dumps({**orjson.loads(request.body), **more}))


def _check_queries(gateway: LocalGateway, request: Request, number: int) -> None:
    """Raise `ConfigurationError` where the list has another number of queries than asked for."""
    reply = httpx.post(f"{gateway.url}{request.path}", content=request.body, headers=_JSON)
    listed = reply.raise_for_status().json()["queries"]
    found = sum(query["origin"] == "student" for query in listed)
    if found != number:
        raise ConfigurationError(f"the gateway made {found} queries of a list of {number}")
