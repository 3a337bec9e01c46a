"""The article index on OpenSearch: one `_msearch` for all of a request's queries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from opensearchpy import AsyncOpenSearch

from service.errors import OtherLanguage, RetrievalError, RetrievalTimeout, RetrievalUnavailable
from service.languages import ENGLISH, Language
from service.patience import result_by
from service.protocols import Encoding
from service.records import Encoded, Filters, IndexAnswer, Remark
from service.retrieval.articles import Hits
from service.retrieval.indexes import opensearch_remarks
from service.retrieval.indexes.analysis import (
    definition,
    language_of,
    schema_version,
)
from service.retrieval.indexes.opensearch_client import explained, missing, translated
from service.retrieval.indexes.opensearch_hits import Documents
from service.retrieval.indexes.opensearch_searches import (
    BY_DATE_AND_ID,
    SOURCE,
    Reading,
    as_it_is,
    cosine,
    multi_search,
)
from service.retrieval.indexes.opensearch_vectors import AliasEncoders, as_written, usable_rows

log = logging.getLogger(__name__)

_CUT_OFF = 0.9
"""Share of the time left after which OpenSearch itself stops and sends what it has."""
_LOOK = 0.25
"""Share of the time left that may pass in finding out whose vectors the index holds."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What is asked by meaning, of which indices."""

    encoder: str = ""
    indices: frozenset[str] = frozenset()
    rows: tuple[int, ...] | None = None
    """Texts whose vectors are searched; None where the vectors are not the index's."""
    vectors: Sequence[Sequence[float]] = ()


class OpenSearchIndex:
    """An `ArticleIndex` over an alias (or an index) with the mapping of `mapping.json`.

    Hits are ordered by score, then newest first, then by id, so that equal requests get equal
    answers. The client belongs to the index and is closed with it.
    """

    def __init__(self, client: AsyncOpenSearch, name: str, *, language: Language = ENGLISH) -> None:
        self._client = client
        self._name = name
        self._language = language
        self._encoders = AliasEncoders()
        self._documents = Documents()

    async def search(
        self,
        texts: Sequence[str],
        size: int,
        filters: Filters,
        until: float,
        encoded: Encoding = None,
    ) -> IndexAnswer:
        """Search all texts in one `_msearch`; those that failed are None in the answer.

        With vectors that are the index's own it holds a search by meaning for each text, too. One
        of these that failed counts as an answer of no shard. Whose vectors the index holds is
        looked up where `encoded` is given. Raises `RetrievalTimeout`, or `RetrievalUnavailable`
        when every search failed.
        """
        if not texts:
            return IndexAnswer(())
        given = await encoded if isinstance(encoded, Awaitable) else encoded
        meaning = await self._meaning(given, until) if given is not None else _Meaning()
        left_ms = (until - asyncio.get_running_loop().time()) * 1000
        timeout_ms = max(1, int(left_ms * _CUT_OFF))
        body = multi_search(texts, size, filters, timeout_ms, meaning.vectors)
        answer = await self._ask(self._client.msearch, until, body=body)
        responses = answer.get("responses") if isinstance(answer, Mapping) else None
        if not isinstance(responses, list) or len(responses) != len(texts) + len(meaning.vectors):
            raise RetrievalUnavailable("OpenSearch's address answers something else")
        return self._read(responses, len(texts), meaning)

    async def popular(self, size: int, until: float) -> Hits:
        """The articles with the highest popularity, newest first among equals."""
        body = {
            "size": size,
            "track_total_hits": False,
            "_source": SOURCE,
            "query": {"match_all": {}},
            "sort": [{"popularity": {"order": "desc", "missing": 0}}, *BY_DATE_AND_ID],
        }
        answer = await self._ask(self._client.search, until, body=body)
        return self._documents.hits(answer["hits"]["hits"])[0]

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
        self._encoders.saw_uuids(about["uuid"] for about in stats["indices"].values())
        return ",".join(words)

    async def check(self, until: float) -> None:
        """Return if every index behind the name has our schema version, fields and language.

        Raises `RetrievalUnavailable` saying what of which index differs.
        """
        mappings = await self._mappings(until)
        if not mappings:
            raise missing(self._name)
        self._encoders.read(mappings)
        for index, mapping in mappings.items():
            if problem := mapping_problem(mapping):
                raise RetrievalUnavailable(
                    f"the index {index!r} has another mapping: {problem}; "
                    "rebuild it with `interests index load FILE…`"
                )
            if (has := language_of(mapping.get("_meta", {}))) != self._language:
                raise OtherLanguage(f"the index {index!r}", has, self._language)

    async def remarks(self, until: float) -> tuple[Remark, ...]:
        """Statistics that cannot be read, articles that stand there twice, ids that are too long.

        And vectors that no search can use: those of several encoders, or of a mapping like none.
        A look that takes longer than `until` is left out.
        """
        found = await opensearch_remarks.unread_statistics(lambda: self.generation(until))

        async def search(index: str, body: dict[str, Any]) -> Any:
            return await self._ask(self._client.search, until, index=index, body=body)

        with suppress(RetrievalTimeout):
            mappings = await self._mappings(until)
            found += opensearch_remarks.unused_vectors(mappings)
            found += await opensearch_remarks.doubled(search, self._name, sorted(mappings))
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

    async def _mappings(self, until: float) -> dict[str, Mapping[str, Any]]:
        """The mapping of each index behind the name."""
        answer = await self._ask(self._client.indices.get_mapping, until)
        try:
            return {index: about["mappings"] for index, about in answer.items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise RetrievalUnavailable("OpenSearch's address answers something else") from error

    async def _meaning(self, encoded: Encoded, until: float) -> _Meaning:
        """What of the vectors given can be searched. Where that cannot be found out, nothing."""
        if not self._encoders.known:
            now = asyncio.get_running_loop().time()
            try:
                self._encoders.read(await self._mappings(now + _LOOK * (until - now)))
            except RetrievalError as error:
                log.debug("searched by words alone, since its mapping cannot be read: %s", error)
                return _Meaning()
        ours, indices = self._encoders.shared, self._encoders.indices
        if ours is None:
            return _Meaning(indices=indices)
        if (encoded.key, encoded.vectors.shape[1]) != (ours.key, ours.dimension):
            return _Meaning(ours.key, indices)
        rows = np.flatnonzero(usable_rows(encoded.vectors))
        vectors = as_written(encoded.vectors[rows])
        return _Meaning(ours.key, indices, tuple(rows.tolist()), vectors)

    def _read(
        self, responses: Sequence[Mapping[str, Any]], texts: int, meaning: _Meaning
    ) -> IndexAnswer:
        reading = Reading(self._documents)
        hits = tuple([reading.take(response, as_it_is) for response in responses[:texts]])
        # An index that has gone behind the alias since may hold another encoder's vectors.
        near = [reading.take(response, cosine, meaning.indices) for response in responses[texts:]]
        if meaning.indices and not reading.indices <= meaning.indices:
            self._encoders.forget()
        if reading.errors and not reading.shards_ok:
            kind, reason = reading.errors[0]
            if kind == "index_not_found_exception":
                raise missing(self._name)
            said = explained(kind, reason) or f"every search failed on OpenSearch: {reason or kind}"
            raise RetrievalUnavailable(said)
        by_row = dict(zip(meaning.rows or (), near, strict=True))
        return IndexAnswer(
            hits=hits,
            near=()
            if meaning.rows is None
            else tuple([by_row.get(row) or () for row in range(texts)]),
            encoder=meaning.encoder,
            shards_ok=0 if None in near else min(reading.shards_ok, default=0),
            shards_total=reading.shards_total,
            timed_out=reading.timed_out,
            odd=reading.odd,
        )


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
