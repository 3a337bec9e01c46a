"""A shadow: what an arm would have answered that is served to nobody, as an object of the stream.

Pure. docs/experiments.md says what it is for; its `id` is that of the answer which was served.
"""

from __future__ import annotations

from typing import Any

import orjson

from service.events.exposures import query_of, scores_of, times_of
from service.records import ShadowAnswer


def shadow(answer: ShadowAnswer, at_ms: int) -> bytes:
    """The object of what a shadow arm has found at `at_ms`."""
    fields: dict[str, Any] = {
        "v": 1,
        "id": answer.request_id,
        "at": at_ms,
        "user": answer.user_id,
        "key": answer.key,
        "layer": answer.layer,
        "arm": answer.arm,
        "student": answer.student.key,
        "queries_from": answer.queries_from,
        "candidates_from": answer.candidates_from,
        "degraded": answer.degraded,
        "queries": [query_of(run) for run in answer.runs],
        "ids": [one.article.id for one in answer.candidates],
        "scores": scores_of(answer.candidates),
        "ms": times_of(answer.timings),
    }
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)
