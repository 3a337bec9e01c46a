"""Texts go to the index by words and by meaning, and by words alone where the encoder fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service.encoding.cached import CachedEncoder
from service.errors import RetrievalUnavailable
from service.protocols import Encoding
from service.records import Encoded, Filters, Hit, IndexAnswer, Query, TextRole, Vectors
from service.retrieval.meaning import IndexSearch
from service.telemetry import Metrics
from tests.parts.metrics import total
from tests.unit.service.encoding.fakes import FakeEncoder, vector_of
from tests.unit.service.retrieval.fakes import hit


@dataclass
class NearIndex:
    """Remembers what it was given; finds by meaning where the vectors are of its encoder."""

    encoder: str = "fake@1"
    near: tuple[Hit, ...] = ()
    given: list[Encoded | None] = field(default_factory=list)
    awaited: list[bool] = field(default_factory=list)
    """Whether it was given before it was there."""

    async def search(
        self,
        texts: Sequence[str],
        size: int,
        filters: Filters,
        until: float,
        encoded: Encoding = None,
    ) -> IndexAnswer:
        self.awaited.append(isinstance(encoded, Awaitable))
        encoded = await encoded if isinstance(encoded, Awaitable) else encoded
        self.given.append(encoded)
        hits = tuple((hit(text),) for text in texts)
        if encoded is None or encoded.key != self.encoder:
            return IndexAnswer(hits, encoder=self.encoder)
        return IndexAnswer(hits, near=(self.near,) * len(texts), encoder=self.encoder)


def queries(*texts: str) -> list[Query]:
    return [Query(text) for text in texts]


async def search(index: NearIndex, encoder: FakeEncoder | None, unrelated: float = 0.0):
    it = IndexSearch(index, encoder, unrelated)  # type: ignore[arg-type]  # its searching part
    return await it.search(queries("a", "b"), 5, Filters(), asyncio.get_running_loop().time() + 5)


async def test_texts_are_encoded_once_as_queries_and_go_along() -> None:
    index, encoder = NearIndex(near=(hit("n", score=0.5),)), FakeEncoder()
    answer = await search(index, encoder)
    assert encoder.asked == [("query", ("a", "b"))]
    (encoded,) = index.given
    assert encoded is not None
    assert (encoded.vectors[1] == vector_of("b")).all()
    assert [[one.id for one in near] for near in answer.near] == [["n"], ["n"]]
    assert not answer.unencoded


async def test_a_query_is_searched_by_its_text_and_encoded_as_it_was_said() -> None:
    @dataclass
    class Seen(NearIndex):
        texts: list[str] = field(default_factory=list)

        async def search(self, texts: Sequence[str], *more: Any, **named: Any) -> IndexAnswer:
            self.texts += texts
            return await super().search(texts, *more, **named)

    index, encoder = Seen(), FakeEncoder()
    it = IndexSearch(index, encoder)  # type: ignore[arg-type]  # its searching part
    said = [Query("loaf flat", said="why is my loaf flat"), Query("ferries")]
    await it.search(said, 5, Filters(), asyncio.get_running_loop().time() + 5)
    assert index.texts == ["loaf flat", "ferries"]
    assert encoder.asked == [("query", ("why is my loaf flat", "ferries"))]


async def test_texts_that_were_prepared_for_are_not_encoded_again() -> None:
    fake = FakeEncoder()
    lookups = Metrics(CollectorRegistry()).encoded
    encoder = CachedEncoder(fake, size=10, lookups=lookups)
    it = IndexSearch(NearIndex(), encoder)  # type: ignore[arg-type]  # its searching part
    until = asyncio.get_running_loop().time() + 5
    it.prepare(queries("a", "b"), until)
    it.prepare([], until)
    answer = await it.search(queries("b", "c"), 5, Filters(), until)
    assert not answer.unencoded
    assert [texts for _, texts in fake.asked] == [("a", "b"), ("c",)]


async def test_preparing_costs_nothing_where_the_encoder_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = IndexSearch(NearIndex(), FakeEncoder(broken=True))  # type: ignore[arg-type]
    it.prepare(queries("a"), asyncio.get_running_loop().time() + 5)
    await asyncio.sleep(0.01)
    assert "words alone" in caplog.text


async def test_without_an_encoder_there_is_nothing_to_prepare() -> None:
    before = asyncio.all_tasks()
    IndexSearch(NearIndex(), None).prepare(queries("a"), 5.0)  # type: ignore[arg-type]
    assert asyncio.all_tasks() == before


async def test_vectors_that_are_there_are_given_at_once_and_others_are_waited_for() -> None:
    class Slow(FakeEncoder):
        async def encode(self, texts: Sequence[str], role: TextRole, until: float) -> Vectors:
            for _ in range(5):
                await asyncio.sleep(0)
            return await super().encode(texts, role, until)

    index = NearIndex()
    await search(index, FakeEncoder())
    await search(index, Slow())
    assert index.awaited == [False, True]
    assert all(given is not None and len(given.vectors) == 2 for given in index.given)


async def test_an_index_that_fails_ends_the_encoding() -> None:
    class Endless(FakeEncoder):
        ended = False

        async def encode(self, texts: Sequence[str], role: TextRole, until: float) -> Vectors:
            try:
                await asyncio.Event().wait()
            finally:
                self.ended = True
            raise AssertionError("unreachable")

    class Broken(NearIndex):
        async def search(self, *given: object) -> IndexAnswer:  # type: ignore[override]
            raise RetrievalUnavailable("told to fail")

    encoder = Endless()
    with pytest.raises(RetrievalUnavailable):
        await search(Broken(), encoder)
    await asyncio.sleep(0)
    assert encoder.ended


async def test_the_score_by_meaning_is_the_nearness_and_what_is_unrelated_is_left_out() -> None:
    cosines = (1.0, 0.6, 0.2, 0.1, -0.5)
    near = tuple(hit(f"n{n}", score=cosine) for n, cosine in enumerate(cosines))
    answer = await search(NearIndex(near=near), FakeEncoder(), unrelated=0.2)
    assert [one.score for one in answer.near[0]] == pytest.approx([1.0, 0.5])


async def test_without_an_encoder_words_alone_are_searched_and_nothing_is_missing() -> None:
    index = NearIndex()
    answer = await search(index, None)
    assert index.given == [None]
    assert (answer.near, answer.unencoded) == ((), False)


async def test_an_encoder_that_fails_costs_its_half_and_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    index, encoder = NearIndex(), FakeEncoder(broken=True)
    it = IndexSearch(index, encoder)  # type: ignore[arg-type]
    for _ in range(3):
        answer = await it.search(queries("a"), 5, Filters(), asyncio.get_running_loop().time() + 5)
        assert (answer.unencoded, answer.near) == (True, ())
    assert len(lines(caplog)) == 1
    encoder.broken = False
    await it.search(queries("a"), 5, Filters(), asyncio.get_running_loop().time() + 5)
    encoder.broken = True
    await it.search(queries("a"), 5, Filters(), asyncio.get_running_loop().time() + 5)
    assert lines(caplog) == ["texts are searched by words alone: told to fail"] * 2


async def test_encoding_and_searching_are_timed_each_by_itself_and_their_faults_counted() -> None:
    metrics, encoder = Metrics(CollectorRegistry()), FakeEncoder()
    it = IndexSearch(NearIndex(), encoder, timed=metrics.timed)  # type: ignore[arg-type]
    for encoder.broken in (False, True):
        await it.search(queries("a"), 5, Filters(), asyncio.get_running_loop().time() + 5)
    text = generate_latest(metrics.registry).decode()
    for stage in ("encode", "search"):
        assert total(text, "interests_stage_seconds_count", stage=stage) == 2
    assert total(text, "interests_stage_errors_total") == 1
    assert total(text, "interests_stage_errors_total", stage="encode") == 1


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    name = "service.retrieval.meaning"
    return [line.getMessage() for line in caplog.records if line.name == name]


async def test_an_index_of_another_encoder_is_searched_by_words_and_that_is_said() -> None:
    answer = await search(NearIndex(encoder="other@2"), FakeEncoder())
    assert (answer.unencoded, answer.near) == (True, ())


async def test_an_index_without_vectors_is_searched_by_words_and_nothing_is_wrong() -> None:
    answer = await search(NearIndex(encoder=""), FakeEncoder())
    assert (answer.unencoded, answer.near) == (False, ())
