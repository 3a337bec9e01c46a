"""From the samples of one completion to the list that they agree on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from service.generation.consensus import consensus
from service.generation.engines.calls import Sample
from service.generation.queries import queries_in
from service.languages import ENGLISH, Language
from service.records import Query, Signal


def agreed_list(
    samples: Sequence[Sample],
    shown: Sequence[Signal],
    *,
    max_queries: int,
    blocked: Collection[str] = (),
    language: Language = ENGLISH,
) -> tuple[Query, ...]:
    """At most `max_queries` queries, by consensus of the samples that hold one; empty if none does.

    `shown` are the signals that the prompt showed; `blocked` are lines that are no queries
    (`service.generation.queries.parse`).
    """
    lists = [
        queries_in(
            sample.text,
            shown,
            finished=sample.finished,
            max_queries=max_queries,
            blocked=blocked,
            language=language,
        )
        for sample in samples
    ]
    written = [queries for queries in lists if queries]
    return consensus(written, max_queries, language) if written else ()
