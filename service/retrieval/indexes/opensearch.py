"""The article index on OpenSearch: one `_msearch` for all of a request's queries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson
from opensearchpy import AsyncOpenSearch

from service.dates import EARLIEST_MS, LATEST_MS
from service.errors import RetrievalTimeout, RetrievalUnavailable
from service.limits import fits_article_id
from service.patience import result_by
from service.records import Filters, Hit, IndexAnswer, Remark
from service.retrieval.indexes import opensearch_remarks
from service.retrieval.indexes.analysis import FIELDS, bounded, definition, schema_version
from service.retrieval.indexes.opensearch_client import explained, missing, translated

_SOURCE = ["id", "title", "category", "popularity"]
_BY_DATE_AND_ID: list[dict[str, Any]] = [
    {"published": {"order": "desc", "missing": 0}},
    {"id": {"order": "asc"}},
]
_CUT_OFF = 0.9
"""Share of the time left after which OpenSearch itself stops and sends what it has."""


class OpenSearchIndex:
    """An `ArticleIndex` over an alias (or an index) with the mapping of `mapping.json`.

    Hits are ordered by score, then newest first, then by id, so that equal requests get equal
    answers. The client belongs to the index and is closed with it.
    """

    def __init__(self, client: AsyncOpenSearch, name: str) -> None:
        self._client = client
        self._name = name

    async def search(
        self, texts: Sequence[str], size: int, filters: Filters, until: float
    ) -> IndexAnswer:
        """Search all texts in one `_msearch`; those that failed are None in the answer.

        Raises `RetrievalTimeout`, or `RetrievalUnavailable` when every search failed.
        """
        if not texts:
            return IndexAnswer(())
        left_ms = (until - asyncio.get_running_loop().time()) * 1000
        body = multi_search(texts, size, filters, timeout_ms=max(1, int(left_ms * _CUT_OFF)))
        answer = await self._ask(self._client.msearch, until, body=body)
        responses = answer.get("responses") if isinstance(answer, Mapping) else None
        if not isinstance(responses, list) or len(responses) != len(texts):
            raise RetrievalUnavailable("OpenSearch's address answers something else")
        return self._read(responses)

    async def popular(self, size: int, until: float) -> tuple[Hit, ...]:
        """The articles with the highest popularity, newest first among equals."""
        body = {
            "size": size,
            "track_total_hits": False,
            "_source": _SOURCE,
            "query": {"match_all": {}},
            "sort": [{"popularity": {"order": "desc", "missing": 0}}, *_BY_DATE_AND_ID],
        }
        answer = await self._ask(self._client.search, until, body=body)
        return _hits(answer["hits"]["hits"], scored=False)[0]

    async def generation(self, until: float) -> str:
        """Index ids, last sequence numbers and refresh counts: one cheap look at statistics.

        The sequence number moves with a write and the refresh count when it becomes visible, so
        that what was found in between is not kept either.
        """
        stats = await self._ask(self._client.indices.stats, until, metric="refresh", level="shards")
        words = []
        for index in sorted(stats["indices"]):
            shards = [
                copy for copies in stats["indices"][index]["shards"].values() for copy in copies
            ]
            written = sum(copy["seq_no"]["max_seq_no"] for copy in shards)
            refreshed = sum(copy["refresh"]["external_total"] for copy in shards)
            words.append(f"{stats['indices'][index]['uuid']}:{written}:{refreshed}")
        return ",".join(words)

    async def check(self, until: float) -> None:
        """Return if every index behind the name has our schema version and our fields.

        Raises `RetrievalUnavailable` saying which field of which index differs.
        """
        indices = await self._ask(self._client.indices.get_mapping, until)
        if not indices:
            raise missing(self._name)
        for index, found in indices.items():
            if problem := mapping_problem(found["mappings"]):
                raise RetrievalUnavailable(
                    f"the index {index!r} has another mapping: {problem}; "
                    "rebuild it with `interests index load FILE…`"
                )

    async def remarks(self, until: float) -> tuple[Remark, ...]:
        """Statistics that cannot be read, articles that stand there twice, ids that are too long.

        A look that takes longer than `until` is left out.
        """
        found = await opensearch_remarks.unread_statistics(lambda: self.generation(until))

        async def search(index: str, body: dict[str, Any]) -> Any:
            return await self._ask(self._client.search, until, index=index, body=body)

        with suppress(RetrievalTimeout):
            indices = sorted(await self._ask(self._client.indices.get_mapping, until))
            found += await opensearch_remarks.doubled(search, self._name, indices)
            found += await opensearch_remarks.too_long(search, self._name)
        return tuple(found)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ask(self, call: Callable[..., Awaitable[Any]], until: float, **options: Any) -> Any:
        """The answer to a call about our index by `until`, which the call is told, too."""
        left = until - asyncio.get_running_loop().time()
        if left <= 0:
            raise RetrievalTimeout("no time left to search")
        with translated(self._name):
            asking = call(**{"index": self._name, "request_timeout": left, **options})
            return await result_by(asking, until)

    def _read(self, responses: Sequence[Mapping[str, Any]]) -> IndexAnswer:
        hits: list[tuple[Hit, ...] | None] = []
        shards_ok, shards_total, timed_out, odd = [], [1], False, 0
        reasons = []
        for response in responses:
            if error := response.get("error"):
                hits.append(None)
                reasons.append((error.get("type"), error.get("reason")))
                continue
            read, strange = _hits(response["hits"]["hits"], scored=True)
            hits.append(read)
            odd += strange
            shards_ok.append(response["_shards"]["successful"])
            shards_total.append(response["_shards"]["total"])
            timed_out = timed_out or bool(response["timed_out"])
        if reasons and not shards_ok:
            kind, reason = reasons[0]
            if kind == "index_not_found_exception":
                raise missing(self._name)
            said = explained(kind, reason) or f"every search failed on OpenSearch: {reason or kind}"
            raise RetrievalUnavailable(said)
        return IndexAnswer(
            hits=tuple(hits),
            shards_ok=min(shards_ok),
            shards_total=max(shards_total),
            timed_out=timed_out,
            odd=odd,
        )


def multi_search(texts: Sequence[str], size: int, filters: Filters, timeout_ms: int) -> bytes:
    """The body of the `_msearch`, two lines a text."""
    header = orjson.dumps({"allow_partial_search_results": True})
    lines = []
    for text in texts:
        lines += [header, orjson.dumps(_search(bounded(text), size, filters, timeout_ms))]
    return b"\n".join(lines) + b"\n"


def mapping_problem(found: Mapping[str, Any]) -> str | None:
    """What differs from our mapping in the fields that we use; None when nothing does."""
    version = found.get("_meta", {}).get("interests_schema")
    if version != schema_version():
        return f"its schema version is {version}, not {schema_version()}"
    properties = found.get("properties", {})
    for field, wanted in definition()["mappings"]["properties"].items():
        for key in ("type", "analyzer"):
            is_, should = properties.get(field, {}).get(key), wanted.get(key)
            if is_ != should:
                return f"{key} of {field!r} is {is_}, not {should}"
    return None


def _search(text: str, size: int, filters: Filters, timeout_ms: int) -> dict[str, Any]:
    query: dict[str, Any] = {
        "should": [{"match": {field: {"query": text, "boost": boost}}} for field, boost in FIELDS],
        "minimum_should_match": 1,
    }
    if filters.published_after_ms is not None:
        newer = {"gte": filters.published_after_ms, "format": "epoch_millis"}
        query["filter"] = [{"range": {"published": newer}}]
    if filters.published_until_ms is not None:
        # Not a bound from above: that would leave out articles without a date.
        ahead = {"gt": filters.published_until_ms, "format": "epoch_millis"}
        query["must_not"] = [{"range": {"published": ahead}}]
    return {
        "size": size,
        "timeout": f"{timeout_ms}ms",
        "track_total_hits": False,
        "_source": _SOURCE,
        "query": {"bool": query},
        "sort": ["_score", *_BY_DATE_AND_ID],
    }


def _hits(found: Sequence[Mapping[str, Any]], scored: bool) -> tuple[tuple[Hit, ...], int]:
    """The hits of one search, and how many of them are not as they should be.

    OpenSearch keeps a document as it was written: a title may be null, a number or a list. What can
    be read of it is used; a hit without an id or a title is left out, and so is one whose id is too
    long. An article that stands in several indices of an alias is found in each: its best place
    counts.
    """
    hits: dict[str, Hit] = {}
    odd = 0
    for document in found:
        hit, fine = _hit(document, scored)
        odd += not fine or (hit is not None and hit.id in hits)
        if hit is not None:
            hits.setdefault(hit.id, hit)
    return tuple(hits.values()), odd


def _hit(document: Mapping[str, Any], scored: bool) -> tuple[Hit | None, bool]:
    """The hit, if it can be shown, and whether it is as it should be."""
    source, sort = document["_source"], document["sort"]
    id_, title, category = sort[-1] or document["_id"], source.get("title"), source.get("category")
    published, popularity = sort[-2], source.get("popularity")
    score = float(sort[0]) if scored else 0.0
    if (
        type(title) is type(id_) is str
        and title
        and fits_article_id(id_)
        and (type(category) is str or category is None)
        and type(published) is int
        and EARLIEST_MS <= published <= LATEST_MS
        and (type(popularity) in (float, int) or popularity is None)
    ):
        return Hit(id_, title, category or "", published, float(popularity or 0.0), score), True
    readable = _text(title)
    if not readable or type(id_) is not str or not fits_article_id(id_):
        return None, False
    clicks = float(popularity) if type(popularity) in (float, int) else 0.0
    return Hit(id_, readable, _text(category), _moment(published), clicks, score), False


def _text(value: object) -> str:
    """A text; of a list its first; else none."""
    if isinstance(value, list):
        value = next((part for part in value if isinstance(part, str)), None)
    return value if isinstance(value, str) else ""


def _moment(value: object) -> int:
    """A time that an answer can show; 0, the unknown one, for all others."""
    return value if type(value) is int and EARLIEST_MS <= value <= LATEST_MS else 0
