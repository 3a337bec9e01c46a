"""What a gateway asks its engine and its index for users, to ask these directly."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from loadtests.rig.loops import Request
from service.defaults import HITS_PER_QUERY
from service.generation.engines.calls import Call
from service.generation.engines.completions import request_body
from service.records import Filters, Signal
from service.retrieval.indexes.opensearch_searches import multi_search
from service.settings_groups import StudentSettings
from service.signals.merge import merge
from service.students import of_settings
from service.wiring_students import renderer

_SIGNALS = 200
_MINUTE_MS = 60_000
_TIMEOUT_MS = 5_000


def completions(student: Path, users: Iterable[Sequence[Signal]]) -> list[Request]:
    """The call of the engine for each user's signals. `student`: its `student.yaml`."""
    configured = of_settings({"main": StudentSettings(manifest=student)}, "main")
    main = configured.by_key[configured.default]
    spec, render = main.spec(), renderer(main)
    return [
        Request(
            request_body(
                Call(
                    render(merge((), signals, _SIGNALS)).token_ids,
                    spec.model,
                    spec.decoding,
                    "user",
                )
            ),
            path="/v1/completions",
        )
        for signals in users
    ]


def searches(queries: Iterable[Sequence[str]], index: str = "news") -> list[Request]:
    """The `_msearch` for the texts of each list, by words alone."""
    now_ms = int(time.time() * 1000)
    filters = Filters(published_until_ms=now_ms - now_ms % _MINUTE_MS)
    return [
        Request(multi_search(texts, HITS_PER_QUERY, filters, _TIMEOUT_MS), f"/{index}/_msearch")
        for texts in queries
    ]
