"""Results that are kept as long as the index has not changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.records import Filters, Query
from service.retrieval.cache import Key, QueryCache
from service.retrieval.meaning import IndexSearch
from service.retrieval.watch import IndexWatch
from tests.unit.service.retrieval.fakes import FakeIndex

pytestmark = pytest.mark.jumping_clock


class Setup:
    """A cache over a fake index whose generation is known, its watch polled by hand."""

    def __init__(self, *, size: int = 100, ttl_s: float = 60.0, poll_s: float = 3600.0) -> None:
        self.index = FakeIndex()
        self.watch = IndexWatch(self.index, poll_s=poll_s)
        self.cache = QueryCache(self.watch, size=size, ttl_s=ttl_s)

    def key(self, text: str) -> Key:
        return self.cache.key(Query(text), 10, Filters())

    async def search(self, *texts: str) -> None:
        until = asyncio.get_running_loop().time() + 3600
        flight = self.cache.search(
            IndexSearch(self.index, None), [(self.key(text), Query(text)) for text in texts], until
        )
        await flight.work.task

    def known(self, *texts: str) -> list[str]:
        """Which of these texts have an up-to-date result."""
        return [text for text in texts if self.cache.get(self.key(text))]


async def made(**options: float) -> Setup:
    setup = Setup(**options)  # type: ignore[arg-type]
    await setup.watch.poll()
    return setup


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    setup = await made()
    yield setup
    await setup.cache.aclose()


async def test_a_result_is_known_by_its_words_size_filter_and_generation(setup: Setup) -> None:
    await setup.search("Solar power")
    assert setup.known("solar  POWER ", "wind") == ["solar  POWER "]
    kept = setup.cache.get(setup.key("solar power"))
    assert kept is not None
    assert [hit.id for hit in kept.found.hits] == ["Solar power"]
    others = [
        setup.cache.key(Query("solar power"), 11, Filters()),
        setup.cache.key(Query("solar power"), 10, Filters(published_after_ms=60_000)),
    ]
    setup.index.word = "g2"
    await setup.watch.poll()
    others.append(setup.key("solar power"))
    assert [setup.cache.get(key) for key in others] == [None] * 3


async def test_with_an_encoder_what_was_said_is_part_of_the_key(setup: Setup) -> None:
    plain, said = Query("loaf flat"), Query("loaf flat", said="Why is my loaf flat")
    keys = {setup.cache.key(query, 10, Filters(), "encoder@1") for query in (plain, said)}
    assert len(keys) == 2
    assert setup.key("loaf flat") == setup.cache.key(said, 10, Filters())


async def test_a_changed_index_empties_it(setup: Setup) -> None:
    await setup.search("a", "b")
    assert len(setup.cache) == 2
    setup.index.word = "g2"
    await setup.watch.poll()
    assert len(setup.cache) == 0


async def test_what_was_found_while_the_index_changed_is_not_kept(setup: Setup) -> None:
    setup.index.gate = asyncio.Event()
    search = asyncio.create_task(setup.search("a"))
    await asyncio.sleep(0)
    setup.index.word = "g2"
    await setup.watch.poll()
    setup.index.gate.set()
    await search
    assert len(setup.cache) == 0


async def test_a_result_ages_from_the_beginning_of_its_search() -> None:
    setup = await made(ttl_s=60.0)
    setup.index.gate = asyncio.Event()
    search = asyncio.create_task(setup.search("a"))
    await asyncio.sleep(20)
    setup.index.gate.set()
    await search
    await asyncio.sleep(39)
    assert setup.known("a") == ["a"]
    await asyncio.sleep(1)
    assert setup.known("a") == []
    assert setup.cache.get_stale(setup.key("a")) is None
    assert len(setup.cache) == 0


async def test_the_least_recently_used_result_goes_first() -> None:
    setup = await made(size=2)
    await setup.search("a", "b")
    assert setup.known("a") == ["a"]
    await setup.search("c")
    assert setup.known("a", "b", "c") == ["a", "c"]


async def test_while_the_generation_is_not_confirmed_a_result_only_stands_in_for_a_failure() -> (
    None
):
    setup = await made(poll_s=2.0)
    await setup.search("a")
    await asyncio.sleep(4.1)
    assert setup.known("a") == []
    assert setup.cache.get_stale(setup.key("a"))
    await setup.watch.poll()
    assert setup.known("a") == ["a"]


@pytest.mark.parametrize("spoilt", ["shards", "time"])
async def test_what_is_not_complete_is_not_kept(setup: Setup, spoilt: str) -> None:
    if spoilt == "shards":
        setup.index.shards = (3, 5)
    else:
        setup.index.timed_out = True
    await setup.search("a")
    assert len(setup.cache) == 0


async def test_a_size_of_nought_keeps_and_shares_nothing() -> None:
    setup = await made(size=0)
    setup.index.gate = asyncio.Event()
    search = asyncio.create_task(setup.search("a"))
    await asyncio.sleep(0)
    assert setup.cache.in_flight(setup.key("a")) is None
    setup.index.gate.set()
    await search
    assert not setup.cache.enabled
    assert len(setup.cache) == 0


async def test_closing_cancels_the_searches_under_way_and_forgets_everything(setup: Setup) -> None:
    await setup.search("a")
    setup.index.gate = asyncio.Event()
    search = asyncio.create_task(setup.search("b"))
    while not setup.index.searches[1:]:
        await asyncio.sleep(0)
    assert setup.cache.in_flight(setup.key("b"))
    await setup.cache.aclose()
    with pytest.raises(asyncio.CancelledError):
        await search
    assert setup.index.cancelled == 1
    assert setup.cache.in_flight(setup.key("b")) is None
    assert len(setup.cache) == 0
