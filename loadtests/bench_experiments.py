"""CPU time that ten running experiments and exposures add to a request.

    python -m loadtests.bench_experiments [--users 20000] [--per-s 300] [--turns 30]

Two workloads, all users enrolled, two arms each: ten layers of one experiment (all ten apply to
every request, the worst case), and one layer of ten (one applies).

First of assigning a user alone: the mean and the best of five rounds, in microseconds a user. Then
of all that a request pays, in this process, against the same requests with nothing of it:
assigning, counting in metrics, and the exposure of an answer of a hundred candidates: handed over,
encoded, and written to a real Redis in the batches that so many requests a second make. The ways
take short turns within one run; what is shown is the median over the turns, and the best: on cores
that others use too, that is nearest to what the work costs by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import redis
import uvloop
from prometheus_client import CollectorRegistry

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from service.errors import EventsUnavailable
from service.events.exposures import exposure
from service.events.streams import EventLimits
from service.events.writer import GATHER_S, EventWriter
from service.experiments.assign import Assigner, Assignment
from service.experiments.definitions import Arm, Experiment, Experiments, Layer, Status
from service.identity import Identity
from service.records import (
    DOMAINS,
    Candidate,
    CandidateSource,
    Decoding,
    Hit,
    InterestAnswer,
    Placement,
    Query,
    QuerySource,
    Run,
    Signal,
    StudentSpec,
    Timings,
)
from service.redis.calls import Calls
from service.redis.client import connect
from service.telemetry import Metrics

EXPERIMENTS, ROUNDS, TURN_S = 10, 5, 0.25
Work = Callable[[str], None]


def experiment(number: int, first: int, last: int) -> Experiment:
    """A running experiment of two arms that enrols everybody in its buckets but a holdout."""
    arms = (Arm("control", 5_000), Arm("other", 5_000, student="student@2"))
    return Experiment(
        f"experiment-{number}", "ab", Status.RUNNING, (first, last), 10_000, arms, holdout=100
    )


def workloads() -> dict[str, Experiments]:
    """Files by what they show."""
    alone = [
        Layer(f"layer-{n}", f"salt-{n}", (experiment(n, 0, 9_999),)) for n in range(EXPERIMENTS)
    ]
    shared = [experiment(n, n * 1_000, n * 1_000 + 999) for n in range(EXPERIMENTS)]
    return {
        "ten layers of one": Experiments(tuple(alone)),
        "one layer of ten": Experiments((Layer("layer", "salt", tuple(shared)),)),
    }


def measure(experiments: Experiments, users: list[str]) -> float:
    """Microseconds of CPU time to assign a user."""
    assigner = Assigner(experiments)
    started = time.process_time()
    for user in users:
        assigner.assign(user, 1)
    return (time.process_time() - started) / len(users) * 1e6


def an_answer() -> InterestAnswer:
    """Twelve queries of fifty hits by words and by meaning, a hundred candidates, fifty signals."""
    rng = random.Random(1)
    hits = [Hit(f"article-{n:07d}", "A title", "world", 1, 1.0, 2.0) for n in range(600)]
    runs = tuple(
        Run(Query(f"what a user looks for {n}", 0.67), tuple(rng.sample(hits, 50)))
        for n in range(12)
    )
    candidates = tuple(
        Candidate(
            hit.headline, rng.random(), tuple(sorted(rng.sample(range(12), rng.randint(1, 4))))
        )
        for hit in hits[:100]
    )
    signals = tuple(Signal(n, rng.choice(DOMAINS), "text", f"e{n}") for n in range(50))
    return InterestAnswer(
        request_id="",
        user_id="",
        student=StudentSpec("student", "1", "student", "t", 1_000, Decoding(), 1_000),
        queries_from=QuerySource.FRESH,
        candidates_from=CandidateSource.SEARCH,
        degraded=(),
        runs=runs,
        candidates=candidates,
        timings=Timings(0.71, 512.12, 14.63, 3.31, 531.9),
        shards_ok=1,
        shards_total=1,
        signals=signals,
    )


def placed(assigned: tuple[Assignment, ...]) -> tuple[Placement, ...]:
    """Places as an answer has them, all of them served."""
    return tuple(
        Placement(one.experiment.key, one.layer, one.assigned, one.assigned) for one in assigned
    )


def ways(experiments: Experiments, writer: EventWriter, identity: Identity) -> dict[str, Work]:
    """What a request does, by how much of it is measured."""
    assigner, metrics, answer = Assigner(experiments), Metrics(CollectorRegistry()), an_answer()

    def nothing(user: str) -> None:
        replace(answer, request_id=identity.request_id(user), user_id=user)

    def assign(user: str) -> None:
        places = placed(assigner.assign(user, 1))
        replace(answer, request_id=identity.request_id(user), user_id=user, experiments=places)

    def count(user: str) -> None:
        places = placed(assigner.assign(user, 1))
        replace(answer, request_id=identity.request_id(user), user_id=user, experiments=places)
        metrics.placed(places)

    def expose(user: str) -> None:
        places = placed(assigner.assign(user, 1))
        request_id = identity.request_id(user)
        made = replace(answer, request_id=request_id, user_id=user, experiments=places)
        metrics.placed(places)
        writer.expose(made)

    return {
        "nothing": nothing,
        "assigned": assign,
        "and counted": count,
        "and exposed": expose,
    }


async def turn(work: Work, users: Iterator[str], per_s: int) -> float:
    """Microseconds of this process's CPU a request, in bursts of as many as a batch gathers."""
    burst, asked = max(1, round(per_s * GATHER_S)), 0
    started = time.process_time()
    for _ in range(round(TURN_S / GATHER_S)):
        for _ in range(burst):
            work(next(users))
        asked += burst
        await asyncio.sleep(GATHER_S)
    await asyncio.sleep(2 * GATHER_S)  # until the last batch is written
    return (time.process_time() - started) / asked * 1e6


async def whole(experiments: Experiments, url: str, per_s: int, turns: int) -> dict[str, str]:
    """Median and best of each way's turns, less those of the requests with nothing of it."""
    identity = Identity()
    client = connect(url)
    calls = Calls(client, at_once=1, failure=EventsUnavailable)
    lost: list[int] = []

    def dropped(kind: object, count: int) -> None:
        lost.append(count)

    limits = EventLimits(20_000, 86_400)
    writer = EventWriter(calls, limits, identity, wrote=lambda *_: None, dropped=dropped)
    writer.start()
    users = (f"user-{number:012d}" for number in range(10**9))
    found: dict[str, list[float]] = {}
    works = ways(experiments, writer, identity)
    for number in range(-1, turns):
        for name, work in works.items():
            micros = await turn(work, users, per_s)
            if number >= 0:  # the first turn warms up
                found.setdefault(name, []).append(micros)
    await writer.stop()
    await client.aclose()
    assert not lost, "events were dropped"
    base = found.pop("nothing")
    middle, best = statistics.median(base), min(base)
    return {
        name: f"{statistics.median(values) - middle:.0f} ({min(values) - best:.0f})"
        for name, values in found.items()
    }


@contextmanager
def a_redis() -> Iterator[str]:
    """The URL of a Redis of our own."""
    with tempfile.TemporaryDirectory() as folder:
        port, children = free_port(), Children(Path(folder))
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        children.start("redis", [redis_server(), *options])
        try:
            for _ in range(100):
                children.check()
                with redis.Redis(port=port) as client:
                    try:
                        client.ping()
                        break
                    except redis.ConnectionError:
                        time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}"
        finally:
            children.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--per-s", type=int, default=300, help="Requests a second.")
    parser.add_argument("--turns", type=int, default=30, help="Of a quarter second, each way.")
    given = parser.parse_args()
    users = [f"user-{number:012d}" for number in range(given.users)]
    for name, experiments in workloads().items():
        found = [measure(experiments, users) for _ in range(ROUNDS)]
        sys.stdout.write(f"{name}: mean {sum(found) / ROUNDS:.1f} µs, best {min(found):.1f} µs\n")
    made = replace(an_answer(), request_id=Identity().request_id("user"), user_id="user")
    sys.stdout.write(f"an exposure without experiments: {len(exposure(made, 1, 2, 3)):,} bytes\n")
    with a_redis() as url:
        for name, experiments in workloads().items():
            added = uvloop.run(whole(experiments, url, given.per_s, given.turns))
            said = ", ".join(f"{way} {micros}" for way, micros in added.items())
            sys.stdout.write(f"{name}, {given.per_s} requests/s, median (best) µs: {said}\n")


if __name__ == "__main__":
    main()
