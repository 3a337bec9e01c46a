"""Writing articles to OpenSearch: rebuild behind the alias, and changes to the live index."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from typing import Any

from opensearchpy import AsyncOpenSearch

from service.errors import ConfigurationError, RetrievalError
from service.languages import ENGLISH, Language
from service.records import Article, Vectors
from service.retrieval.indexes.analysis import definition
from service.retrieval.indexes.loading import EncoderOf, IndexBuild, Published, Vector
from service.retrieval.indexes.opensearch import OpenSearchIndex
from service.retrieval.indexes.opensearch_client import missing, translated
from service.retrieval.indexes.opensearch_documents import bulk, known_vectors, puts
from service.retrieval.indexes.opensearch_vectors import encoder_of, index_definition, shared

log = logging.getLogger(__name__)

_TIMEOUT_S = 120.0
_GRACE_S = 2.0
"""Between the change of the alias and the deletion of the index that it replaced."""
_ABANDONED_MS = 6 * 3600 * 1000


class OpenSearchWriter:
    """An `ArticleWriter`. An upsert made during a load goes to the index that the load replaces.

    A load deletes the indices that earlier loads made (`<alias>-<time in ms>`), and no other. One
    that somebody else put behind the alias is taken off it with `take_off`; without, it is refused.
    """

    def __init__(
        self,
        client: AsyncOpenSearch,
        name: str,
        *,
        take_off: bool = False,
        language: Language = ENGLISH,
    ) -> None:
        self._client = client
        self._name = name
        self._take_off = take_off
        self._language = language

    async def begin(self, encoder: EncoderOf | None = None) -> IndexBuild:
        """Create a new index beside the live one, with fields for an encoder's vectors or without.

        Raises `ConfigurationError` when the alias's name is taken by an index, or when it stands
        for an index that is not ours to replace.
        """
        with translated(self._name):
            if await self._client.indices.exists(
                index=self._name
            ) and not await self._client.indices.exists_alias(name=self._name):
                raise ConfigurationError(
                    f"{self._name!r} is an index on OpenSearch, and an alias of that name is "
                    "needed: delete or rename it, or set INTERESTS_INDEX_NAME"
                )
            await behind(self._client, self._name, self._take_off)
            await self._remove_abandoned()
            index = f"{self._name}-{time.time_ns() // 1_000_000}"
            body = index_definition(encoder, self._language)
            body["settings"]["index"]["refresh_interval"] = "-1"
            await self._client.indices.create(index=index, body=body)
        return _Build(self._client, self._name, index, self._take_off)

    async def upsert(self, articles: Sequence[Article], vectors: Vectors | None = None) -> int:
        """Add or replace articles, searchable on return."""
        await self._check()
        actions = puts(articles, vectors)
        with translated(self._name):
            done = [item async for item in bulk(self._client, self._name, actions)]
            await self._client.indices.refresh(index=self._name)
        return sum(item["index"]["result"] == "updated" for item in done)

    async def encoder(self) -> str:
        """What the vectors of the index that upserts go to are made by; empty where it has none."""
        with translated(self._name):
            mappings = await self._client.indices.get_mapping(index=self._name)
            aliases = await self._client.indices.get_alias(index=self._name)
        marked = [
            index
            for index, about in aliases.items()
            if about["aliases"].get(self._name, {}).get("is_write_index")
        ]
        written = [mappings[index] for index in marked or mappings if index in mappings]
        if not written:
            raise missing(self._name)
        ours = shared(encoder_of(about["mappings"]) for about in written)
        return ours.key if ours else ""

    async def known_vectors(self, digests: Sequence[bytes], encoder: str) -> dict[bytes, Vector]:
        """Vectors of that encoder behind the alias, by the digests of the texts they stand for.

        Where several articles have the same text, one of them is looked at.
        """
        with translated(self._name):
            if not await self._client.indices.exists(index=self._name):
                return {}
            mappings = await self._client.indices.get_mapping(index=self._name)
            return await known_vectors(self._client, mappings, digests, encoder)

    async def delete(self, ids: Sequence[str]) -> int:
        """Remove articles, gone from searches on return."""
        await self._check()
        actions = ({"_op_type": "delete", "_id": id_} for id_ in ids)
        with translated(self._name):
            done = [item async for item in bulk(self._client, self._name, actions)]
            await self._client.indices.refresh(index=self._name)
        return sum(item["delete"]["result"] == "deleted" for item in done)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _check(self) -> None:
        until = asyncio.get_running_loop().time() + _TIMEOUT_S
        await OpenSearchIndex(self._client, self._name, language=self._language).check(until)

    async def _remove_abandoned(self) -> None:
        """Delete what loads left behind that were killed hours ago."""
        before = time.time_ns() // 1_000_000 - _ABANDONED_MS
        found = await self._client.indices.get_alias(index=f"{self._name}-*")
        for index, about in found.items():
            made_ms = made_at(self._name, index)
            if made_ms is not None and not about["aliases"] and made_ms < before:
                await self._client.indices.delete(index=index)


class _Build:
    def __init__(self, client: AsyncOpenSearch, alias: str, index: str, take_off: bool) -> None:
        self._client = client
        self._alias = alias
        self._index = index
        self._take_off = take_off

    async def add(self, articles: Sequence[Article], vectors: Vectors | None = None) -> int:
        actions = puts(articles, vectors)
        with translated(self._index):
            done = [item async for item in bulk(self._client, self._index, actions)]
        return sum(item["index"]["result"] == "updated" for item in done)

    async def publish(self) -> Published:
        interval = definition()["settings"]["index"]["refresh_interval"]
        with translated(self._index):
            await self._client.indices.put_settings(
                index=self._index, body={"index": {"refresh_interval": interval}}
            )
            await self._client.indices.refresh(index=self._index)
            old, others = await behind(self._client, self._alias, self._take_off)
            # One request, so no search ever finds the alias without an index.
            actions: list[dict[str, Any]] = [
                {"add": {"index": self._index, "alias": self._alias}},
                *({"remove": {"index": index, "alias": self._alias}} for index in (*old, *others)),
            ]
            await self._client.indices.update_aliases(body={"actions": actions})
        await self._delete(old)
        return Published(self._index, tuple(others))

    async def _delete(self, old: Sequence[str]) -> None:
        """Delete what is live no more, once the searches that have begun on it have ended."""
        if not old:
            return
        await asyncio.sleep(_GRACE_S)
        try:
            with translated(self._index):
                await self._client.indices.delete(index=",".join(old))
        except RetrievalError as error:
            left = ", ".join(old)
            log.warning("%s is live, but %s could not be deleted: %s", self._index, left, error)

    async def discard(self) -> None:
        about = (await self._client.indices.get_alias(index=self._index)).get(self._index, {})
        # The answer to the change of the alias may be lost, and the index live all the same.
        if not about.get("aliases"):
            await self._client.indices.delete(
                index=self._index, params={"ignore_unavailable": "true", "request_timeout": 10}
            )


def made_at(alias: str, index: str) -> int | None:
    """When a load made this index (ms since 1970); None for one that no load made."""
    match = re.fullmatch(re.escape(alias) + r"-(\d{13})", index)
    return int(match[1]) if match else None


async def behind(
    client: AsyncOpenSearch, alias: str, take_off: bool
) -> tuple[list[str], list[str]]:
    """The indices behind an alias: those that loads made, and those of others.

    Raises `ConfigurationError` for those of others unless they may be taken off.
    """
    if not await client.indices.exists_alias(name=alias):
        return [], []
    found = sorted(await client.indices.get_alias(name=alias))
    ours = [index for index in found if made_at(alias, index) is not None]
    others = [index for index in found if index not in ours]
    if others and not take_off:
        raise ConfigurationError(
            f"the alias {alias!r} stands for {', '.join(others)}, which no load made: "
            "`interests index load --take-off FILE` takes it off, and deletes nothing of it"
        )
    return ours, others
