"""An exposure: what a user was served and how it was made, as an object of the stream. Pure.

docs/events.md has its fields. It holds no text of a signal; the texts of queries are in it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from service.records import InterestAnswer, Run


def exposure(answer: InterestAnswer, at_ms: int, process: int, sequence: int) -> bytes:
    """The object of an answer that left at `at_ms`; process and sequence are its request id's."""
    runs, timings = answer.runs, answer.timings
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
        "queries": [query_of(run) for run in runs],
        "ids": [one.hit.id for one in answer.candidates],
        "scores": [round(one.score, 4) for one in answer.candidates],
        "matched": [one.matched for one in answer.candidates],
        "ms": [
            round(ms, 2)
            for ms in (
                timings.signals,
                timings.generate,
                timings.retrieve,
                timings.fuse,
                timings.total,
            )
        ],
        "signals": Counter(signal.domain for signal in answer.signals),
    }
    return orjson.dumps(fields)


def ending(at_ms: int, process: int, sequence: int) -> bytes:
    """The object of a process's end; `sequence` is the first number that it has not used."""
    return orjson.dumps({"v": 1, "process": process, "seq": sequence, "at": at_ms})


def query_of(run: Run) -> tuple[str, float, int, int, str]:
    """A query as the streams hold it: text, weight, hits by words and by meaning, origin."""
    query = run.query
    return query.text, round(query.weight, 4), len(run.hits), len(run.near), query.origin


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
