"""Vectors are kept: what is known is not encoded again."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from service.encoding.cached import CachedEncoder
from service.errors import EncoderUnavailable
from service.telemetry import Metrics
from tests.unit.service.encoding.fakes import FakeEncoder, vector_of


def cached(encoder: FakeEncoder, size: int = 100) -> CachedEncoder:
    return CachedEncoder(encoder, size=size, lookups=Metrics(CollectorRegistry()).encoded)


def soon() -> float:
    return asyncio.get_running_loop().time() + 5


async def test_only_unknown_texts_are_encoded_each_once_and_all_come_in_order() -> None:
    fake = FakeEncoder()
    encoder = cached(fake)
    await encoder.encode(["a", "b"], "query", soon())
    vectors = await encoder.encode(["c", "a", "c", "b"], "query", soon())
    assert [texts for _, texts in fake.asked] == [("a", "b"), ("c",)]
    assert np.allclose(vectors, [vector_of(text) for text in "cacb"])


async def test_a_text_as_a_query_is_not_the_text_as_an_article() -> None:
    fake = FakeEncoder()
    encoder = cached(fake)
    await encoder.encode(["a"], "query", soon())
    await encoder.encode(["a"], "article", soon())
    assert fake.asked == [("query", ("a",)), ("article", ("a",))]


async def test_the_least_recent_vector_gives_way() -> None:
    fake = FakeEncoder()
    encoder = cached(fake, size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await encoder.encode([text], "query", soon())
    assert [texts for _, texts in fake.asked] == [("a",), ("b",), ("c",), ("b",)]


async def test_a_failure_is_told_and_nothing_is_kept_of_it() -> None:
    fake = FakeEncoder(broken=True)
    encoder = cached(fake)
    with pytest.raises(EncoderUnavailable):
        await encoder.encode(["a"], "query", soon())
    fake.broken = False
    assert np.allclose(await encoder.encode(["a"], "query", soon()), [vector_of("a")])


async def test_a_text_that_another_call_waits_for_is_encoded_once() -> None:
    fake = FakeEncoder(held=asyncio.Event())
    encoder = cached(fake)
    first = asyncio.create_task(encoder.encode(["a", "b"], "query", soon()))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(encoder.encode(["b", "c"], "query", soon()))
    await asyncio.sleep(0.01)
    fake.held.set()
    assert np.allclose(await second, [vector_of(text) for text in "bc"])
    assert np.allclose(await first, [vector_of(text) for text in "ab"])
    assert [texts for _, texts in fake.asked] == [("a", "b"), ("c",)]


async def test_who_joins_a_call_that_fails_asks_again() -> None:
    fake = FakeEncoder(held=asyncio.Event(), broken=True)
    encoder = cached(fake)
    first = asyncio.create_task(encoder.encode(["a"], "query", soon()))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(encoder.encode(["a"], "query", soon()))
    await asyncio.sleep(0.01)
    fake.held.set()
    with pytest.raises(EncoderUnavailable):
        await first
    with pytest.raises(EncoderUnavailable):
        await second
    assert len(fake.asked) == 2


async def test_a_caller_that_leaves_takes_no_vector_from_the_others() -> None:
    fake = FakeEncoder(held=asyncio.Event())
    encoder = cached(fake)
    first = asyncio.create_task(encoder.encode(["a"], "query", soon()))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(encoder.encode(["a"], "query", soon()))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    fake.held.set()
    assert np.allclose(await second, [vector_of("a")])
    assert len(fake.asked) == 1


async def test_who_waits_for_another_call_waits_no_longer_than_its_own_time() -> None:
    fake = FakeEncoder(held=asyncio.Event())
    encoder = cached(fake)
    first = asyncio.create_task(encoder.encode(["a"], "query", soon()))
    await asyncio.sleep(0.01)
    with pytest.raises(EncoderUnavailable, match="in time"):
        await encoder.encode(["a"], "query", asyncio.get_running_loop().time() + 0.02)
    fake.held.set()
    assert np.allclose(await first, [vector_of("a")])


async def test_no_texts_are_no_vectors_and_no_call() -> None:
    fake = FakeEncoder()
    assert (await cached(fake).encode([], "query", soon())).shape == (0, 4)
    assert fake.asked == []


async def test_what_is_closed_closes_what_is_behind() -> None:
    fake = FakeEncoder()
    encoder = cached(fake)
    await encoder.close()
    assert fake.closed
    assert (encoder.key, encoder.dimension) == ("fake@1", 4)
