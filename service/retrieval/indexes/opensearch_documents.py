"""Documents on OpenSearch: what is written of articles, and the vectors that stand there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import ConnectionError as Unreachable
from opensearchpy.helpers import async_streaming_bulk

from service.errors import RetrievalUnavailable
from service.records import Article, Vectors
from service.retrieval.indexes.loading import Vector, article_text, text_digest
from service.retrieval.indexes.opensearch_client import explained
from service.retrieval.indexes.opensearch_vectors import (
    DIGEST,
    VECTOR,
    as_read,
    as_written,
    encoder_of,
    has_digests,
    usable_rows,
)

_TIMEOUT_S = 120.0
_DIGESTS = 250
"""Vectors asked for at once: an answer of some megabytes, whatever their dimension."""


def puts(articles: Sequence[Article], vectors: Vectors | None) -> Iterator[dict[str, Any]]:
    """What is written of each article. One whose vector has no direction is written without."""
    usable = [False] * len(articles) if vectors is None else usable_rows(vectors).tolist()
    for row, article in enumerate(articles):
        action: dict[str, Any] = {
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
        if vectors is not None and usable[row]:
            (action[VECTOR],) = as_written(vectors[row : row + 1])
            action[DIGEST] = text_digest(article_text(article)).hex()
        yield action


async def bulk(client: AsyncOpenSearch, index: str, actions: Iterable[dict[str, Any]]) -> Any:
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
                    explained(error.get("type"), error.get("reason"))
                    or f"OpenSearch refused article {result.get('_id')!r}: {error.get('reason')}"
                )
            yield item
    except Unreachable as error:
        raise RetrievalUnavailable(f"OpenSearch cannot be reached: {error.info}") from error


async def known_vectors(
    client: AsyncOpenSearch,
    mappings: Mapping[str, Mapping[str, Any]],
    digests: Sequence[bytes],
    encoder: str,
) -> dict[bytes, Vector]:
    """Vectors of that encoder by the digests of their texts, from the indices of `mappings`.

    `mappings` is the answer to `GET ALIAS/_mapping`. Raises what the client does.
    """
    dimensions = {
        index: ours.dimension
        for index, about in mappings.items()
        if (ours := encoder_of(about["mappings"])) and ours.key == encoder
        if has_digests(about["mappings"])
    }
    known: dict[bytes, Vector] = {}
    wanted = list(dict.fromkeys(digests)) if dimensions else []
    for start in range(0, len(wanted), _DIGESTS):
        texts = [digest.hex() for digest in wanted[start : start + _DIGESTS]]
        body = {
            "size": len(texts),
            "_source": [VECTOR],
            "query": {"terms": {DIGEST: texts}},
            # Many articles may have one text: one of each is enough, and none crowds out others.
            "collapse": {"field": DIGEST},
            "sort": ["_doc"],
        }
        answer = await client.search(
            index=",".join(dimensions), body=body, request_timeout=_TIMEOUT_S
        )
        for hit in answer["hits"]["hits"]:
            vector = as_read(hit["_source"].get(VECTOR), dimensions[hit["_index"]])
            if vector is not None:
                known[bytes.fromhex(hit["fields"][DIGEST][0])] = vector
    return known
