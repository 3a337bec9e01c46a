"""What is wrong with an index on OpenSearch that answers all the same: for `interests doctor`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from service.errors import RetrievalError, RetrievalTimeout
from service.limits import ARTICLE_ID_BYTES
from service.records import Remark
from service.retrieval.indexes.opensearch_vectors import encoder_of, vector_problem

_SAMPLE = 500
"""Articles of each index that are looked for in the others, drawn by chance."""

Search = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""The answer of OpenSearch to a body's search in an index or alias. Raises `RetrievalError`."""


async def unread_statistics(generation: Callable[[], Awaitable[str]]) -> list[Remark]:
    """Whether the cache of queries is off, because nothing says when the index changes."""
    try:
        await generation()
    except RetrievalTimeout:
        return []
    except RetrievalError as error:
        return [
            Remark(
                f"no result of a query is kept: its statistics cannot be read: {error}",
                "grant the role the permission indices:monitor/stats on the index",
            )
        ]
    return []


async def doubled(search: Search, alias: str, indices: list[str]) -> list[Remark]:
    """Articles that stand behind the alias more than once, as far as a sample tells."""
    sample: set[str] = set()
    for index in indices:
        body = {
            "size": _SAMPLE,
            "_source": ["id"],
            "query": {"function_score": {"query": {"match_all": {}}, "random_score": {}}},
        }
        found = (await search(index, body))["hits"]["hits"]
        sample.update(id_ for hit in found if isinstance(id_ := hit["_source"].get("id"), str))
    if not sample:
        return []
    among: dict[str, Any] = {"terms": {"id": sorted(sample)}}
    counted = {"terms": {"field": "id", "size": len(sample), "min_doc_count": 2}}
    body = {"size": 0, "query": among, "aggs": {"ids": counted}}
    twice = [
        bucket["key"] for bucket in (await search(alias, body))["aggregations"]["ids"]["buckets"]
    ]
    if not twice:
        return []
    body = {"size": 10, "_source": False, "query": {"term": {"id": twice[0]}}}
    places = sorted({hit["_index"] for hit in (await search(alias, body))["hits"]["hits"]})
    return [
        Remark(
            f"{len(twice):,} of {len(sample):,} articles looked at stand in it more than once, "
            f"such as {twice[0]!r} in {', '.join(places)}: each counts once, by its best place",
            f"keep each article in one index behind the alias {alias!r}, under `_id` = `id`",
        )
    ]


async def too_long(search: Search, alias: str) -> list[Remark]:
    """Articles that are not served, because nothing could mark them as read."""
    pattern = f".{{{ARTICLE_ID_BYTES + 1},}}"
    body = {"size": 0, "track_total_hits": True, "query": {"regexp": {"id": pattern}}}
    count = (await search(alias, body))["hits"]["total"]["value"]
    if not count:
        return []
    return [
        Remark(
            f"articles with an id longer than {ARTICLE_ID_BYTES} characters: {count:,}; they are "
            "not served, since no reader could mark them as read",
            "write them under shorter ids",
        )
    ]


def unused_vectors(mappings: Mapping[str, Mapping[str, Any]]) -> list[Remark]:
    """Vectors that no search can use, whatever its encoder, by each index's mapping."""
    problems = {index: vector_problem(mapping) for index, mapping in sorted(mappings.items())}
    remarks = [
        Remark(
            f"searched by words alone: in {index!r} {problem}",
            "write the mapping as deploy/opensearch/README.md says, and index again",
        )
        for index, problem in problems.items()
        if problem
    ]
    if remarks:
        return remarks
    encoders = {index: encoder_of(mapping) for index, mapping in sorted(mappings.items())}
    if len(set(encoders.values())) < 2:
        return []
    each = ", ".join(
        f"{index} has {encoder.key if encoder else 'none'}" for index, encoder in encoders.items()
    )
    return [
        Remark(
            f"searched by words alone: its indices hold vectors of different encoders: {each}",
            "load all articles with one encoder: `interests index load FILE…`",
        )
    ]
