"""Writing articles to OpenSearch: rebuild behind the alias, and changes to the live index."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import ConnectionError as Unreachable
from opensearchpy.helpers import async_streaming_bulk

from service.errors import ConfigurationError, RetrievalUnavailable
from service.records import Article
from service.retrieval.indexes.analysis import definition
from service.retrieval.indexes.loading import IndexBuild
from service.retrieval.indexes.opensearch import OpenSearchIndex
from service.retrieval.indexes.opensearch_client import translated

_TIMEOUT_S = 120.0
_ABANDONED_MS = 6 * 3600 * 1000


class OpenSearchWriter:
    """An `ArticleWriter`. An upsert made during a load goes to the index that the load replaces."""

    def __init__(self, client: AsyncOpenSearch, name: str) -> None:
        self._client = client
        self._name = name

    async def begin(self) -> IndexBuild:
        """Create a new index beside the live one.

        Raises `ConfigurationError` when the alias's name is taken by an index.
        """
        with translated(self._name):
            if await self._client.indices.exists(
                index=self._name
            ) and not await self._client.indices.exists_alias(name=self._name):
                raise ConfigurationError(
                    f"{self._name!r} is an index on OpenSearch, and an alias of that name is "
                    "needed: delete or rename it, or set INTERESTS_INDEX_NAME"
                )
            await self._remove_abandoned()
            index = f"{self._name}-{time.time_ns() // 1_000_000}"
            body = deepcopy(dict(definition()))
            body["settings"]["index"]["refresh_interval"] = "-1"
            await self._client.indices.create(index=index, body=body)
        return _Build(self._client, self._name, index)

    async def upsert(self, articles: Sequence[Article]) -> int:
        """Add or replace articles, searchable on return."""
        await self._check()
        with translated(self._name):
            done = [item async for item in _bulk(self._client, self._name, _puts(articles))]
            await self._client.indices.refresh(index=self._name)
        return sum(item["index"]["result"] == "updated" for item in done)

    async def delete(self, ids: Sequence[str]) -> int:
        """Remove articles, gone from searches on return."""
        await self._check()
        actions = ({"_op_type": "delete", "_id": id_} for id_ in ids)
        with translated(self._name):
            done = [item async for item in _bulk(self._client, self._name, actions)]
            await self._client.indices.refresh(index=self._name)
        return sum(item["delete"]["result"] == "deleted" for item in done)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _check(self) -> None:
        until = asyncio.get_running_loop().time() + _TIMEOUT_S
        await OpenSearchIndex(self._client, self._name).check(until)

    async def _remove_abandoned(self) -> None:
        """Delete what loads left behind that were killed hours ago."""
        before = time.time_ns() // 1_000_000 - _ABANDONED_MS
        found = await self._client.indices.get_alias(index=f"{self._name}-*")
        for index, about in found.items():
            match = re.fullmatch(re.escape(self._name) + r"-(\d{13,})", index)
            if match and not about["aliases"] and int(match[1]) < before:
                await self._client.indices.delete(index=index)


class _Build:
    def __init__(self, client: AsyncOpenSearch, alias: str, index: str) -> None:
        self._client = client
        self._alias = alias
        self._index = index

    async def add(self, articles: Sequence[Article]) -> int:
        with translated(self._index):
            done = [item async for item in _bulk(self._client, self._index, _puts(articles))]
        return sum(item["index"]["result"] == "updated" for item in done)

    async def publish(self) -> str:
        interval = definition()["settings"]["index"]["refresh_interval"]
        with translated(self._index):
            await self._client.indices.put_settings(
                index=self._index, body={"index": {"refresh_interval": interval}}
            )
            await self._client.indices.refresh(index=self._index)
            old: list[str] = []
            if await self._client.indices.exists_alias(name=self._alias):
                old = list(await self._client.indices.get_alias(name=self._alias))
            # One request, so no search ever finds the alias without an index.
            actions: list[dict[str, Any]] = [{"add": {"index": self._index, "alias": self._alias}}]
            for index in old:
                ours = index.startswith(f"{self._alias}-")
                actions.append(
                    {"remove_index": {"index": index}}
                    if ours
                    else {"remove": {"index": index, "alias": self._alias}}
                )
            await self._client.indices.update_aliases(body={"actions": actions})
        return self._index

    async def discard(self) -> None:
        await self._client.indices.delete(
            index=self._index, params={"ignore_unavailable": "true", "request_timeout": 10}
        )


def _puts(articles: Iterable[Article]) -> Iterator[dict[str, Any]]:
    for article in articles:
        yield {
            "_id": article.id,
            "id": article.id,
            "title": article.title,
            "abstract": article.abstract,
            "body": article.body,
            "category": article.category,
            "entities": list(article.entities),
            "published": article.published_ms,
            "popularity": article.popularity,
        }


async def _bulk(client: AsyncOpenSearch, index: str, actions: Iterable[dict[str, Any]]) -> Any:
    """Yield the result of each action. What OpenSearch rejects for lack of room is tried again."""
    try:
        async for _, item in async_streaming_bulk(
            client,
            actions,
            index=index,
            max_retries=6,
            initial_backoff=0.5,
            max_chunk_bytes=5_000_000,
            raise_on_error=False,
            request_timeout=_TIMEOUT_S,
        ):
            result = next(iter(item.values()))
            if error := result.get("error"):
                raise RetrievalUnavailable(
                    f"OpenSearch refused article {result.get('_id')!r}: {error.get('reason')}"
                )
            yield item
    except Unreachable as error:
        raise RetrievalUnavailable(f"OpenSearch cannot be reached: {error.info}") from error
