"""An exposure: what a user was served and how it was made, as an object of the stream. Pure.

docs/events.md has its fields. It holds no text of a signal; the texts of queries are in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from service.records import DOMAINS, Candidate, InterestAnswer, Run, Signal, Timings
from service.remembered import remembered


def exposure(answer: InterestAnswer, at_ms: int, process: int, sequence: int) -> bytes:
    """The object of an answer that left at `at_ms`; process and sequence are its request id's."""
    runs = answer.runs
    fields: dict[str, Any] = {
        "v": 1,
        "id": answer.request_id,
        "at": at_ms,
        "process": process,
        "seq": sequence,
        "user": answer.user_id,
        "student": answer.student.key,
        "places": [
            (one.key, one.layer, one.assigned, one.served, one.reason) for one in answer.experiments
        ],
        "queries_from": answer.queries_from,
        "candidates_from": answer.candidates_from,
        "degraded": answer.degraded,
        "coverage": (
            _share(sum(run.ok for run in runs), len(runs)),
            _share(answer.shards_ok, answer.shards_total),
        ),
        "queries": _queries(runs),
        **_columns(answer.candidates),
        "ms": times_of(answer.timings),
        "signals": _by_domain(answer.signals),
    }
    return orjson.dumps(fields)


def ending(at_ms: int, process: int, sequence: int) -> bytes:
    """The object of a process's end; `sequence` is the first number that it has not used."""
    return orjson.dumps({"v": 1, "process": process, "seq": sequence, "at": at_ms})


@remembered
def _queries(runs: tuple[Run, ...]) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps([query_of(run) for run in runs]))


@remembered
def _columns(candidates: tuple[Candidate, ...]) -> dict[str, orjson.Fragment]:
    """What an exposure holds of its candidates, in JSON: once, where they are served again."""
    columns: dict[str, object] = {
        "ids": [one.article.id for one in candidates],
        "scores": scores_of(candidates),
        "matched": [one.matched for one in candidates],
    }
    option = orjson.OPT_SERIALIZE_NUMPY
    return {name: orjson.Fragment(orjson.dumps(of, option=option)) for name, of in columns.items()}


def query_of(run: Run) -> tuple[str, float, int, int, str]:
    """A query as the streams hold it: text, weight, hits by words and by meaning, origin."""
    query = run.query
    return query.text, query.weight, len(run.hits), len(run.near), query.origin


def _by_domain(signals: Iterable[Signal]) -> dict[str, int]:
    """How many signals there are of each domain that there is any of."""
    domains = [signal.domain for signal in signals]
    return {domain: domains.count(domain) for domain in DOMAINS if domain in domains}


def scores_of(candidates: Sequence[Candidate]) -> npt.NDArray[np.float32]:
    """Seven digits of each: to round a hundred in Python takes longer than all else here."""
    with np.errstate(over="ignore"):
        return np.array([one.score for one in candidates], np.float32)


def times_of(timings: Timings) -> list[float]:
    """Milliseconds of each stage and of all, to a hundredth."""
    stages = (timings.signals, timings.generate, timings.retrieve, timings.fuse, timings.total)
    return [int(100 * ms) / 100 for ms in stages]


def _share(part: int, whole: int) -> float:
    if part == whole and whole:
        return 1.0
    return round(part / whole, 4) if whole else 0.0
