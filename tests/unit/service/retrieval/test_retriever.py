"""Queries in, runs out: cache, shared searches, deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from prometheus_client import CollectorRegistry

from service.errors import RetrievalTimeout, RetrievalUnavailable
from service.protocols import ArticleIndex
from service.records import Degraded, Filters, Query, Retrieval
from service.retrieval.cache import Key, QueryCache
from service.retrieval.flights import Flight
from service.retrieval.meaning import IndexSearch
from service.retrieval.retriever import IndexRetriever
from service.retrieval.watch import IndexWatch
from service.telemetry import Metrics
from tests.unit.service.retrieval.fakes import FakeIndex, hit

pytestmark = pytest.mark.jumping_clock

PARTIAL = (Degraded.RETRIEVAL_PARTIAL,)


class ObservedCache(QueryCache):
    """A cache that remembers every search that was begun."""

    def __init__(self, watch: IndexWatch, *, size: int, ttl_s: float) -> None:
        super().__init__(watch, size=size, ttl_s=ttl_s)
        self.begun: list[Flight[Key]] = []

    def search(
        self, index: ArticleIndex, wanted: Sequence[tuple[Key, Query]], until: float
    ) -> Flight[Key]:
        flight = super().search(index, wanted, until)
        self.begun.append(flight)
        return flight


class Setup:
    """A retriever over a fake index, its watch polled by hand."""

    def __init__(self, *, size: int = 100, ttl_s: float = 60.0, poll_s: float = 60.0) -> None:
        self.index = FakeIndex()
        self.watch = IndexWatch(self.index, poll_s=poll_s)
        self.cache = ObservedCache(self.watch, size=size, ttl_s=ttl_s)
        self.metrics = Metrics(CollectorRegistry())
        self.retriever = IndexRetriever(IndexSearch(self.index, None), self.cache, self.metrics)

    async def search(
        self, *texts: str, within: float = 5.0, size: int = 10, after: int | None = None
    ) -> Retrieval:
        until = asyncio.get_running_loop().time() + within
        queries = [Query(text) for text in texts]
        return await self.retriever.search(queries, size, Filters(after), until)

    def looked_up(self, outcome: str) -> float:
        value = self.metrics.registry.get_sample_value(
            "interests_query_cache_total", {"outcome": outcome}
        )
        return value or 0.0

    def left_behind(self) -> list[str]:
        """Searches that are under way, may still be joined, or have waiters."""
        left = []
        for flight in self.cache.begun:
            joined = any(self.cache.in_flight(key) is flight for key in flight.keys)
            if joined or flight.work.waiters or not flight.work.task.done():
                left.append(f"{flight.keys}: {flight.work.waiters} waiters, {flight.work.task}")
        return left


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Setup]]:
    """Makes setups; afterwards no task, no flight and no waiter may be left."""
    made: list[Setup] = []

    def build(**options: float) -> Setup:
        setup = Setup(**options)  # type: ignore[arg-type]
        made.append(setup)
        return setup

    yield build
    await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task.get_name() == "index-search"] == []
    assert [left for setup in made for left in setup.left_behind()] == []


@pytest.fixture
async def setup(make: Callable[..., Setup]) -> Setup:
    """A setup with the first generation known."""
    made = make()
    await made.watch.poll()
    return made


def found(retrieval: Retrieval) -> list[list[str]]:
    return [[h.id for h in run.hits] for run in retrieval.runs]


async def test_all_queries_go_in_one_search_and_come_back_in_order(setup: Setup):
    retrieval = await setup.search("b", "a", "c")
    assert found(retrieval) == [["b"], ["a"], ["c"]]
    assert setup.index.searches == [("b", "a", "c")]
    assert retrieval.degraded == ()


async def test_no_queries_need_no_search(setup: Setup):
    assert (await setup.search()).runs == ()
    assert setup.index.searches == []


async def test_the_same_words_are_searched_once(setup: Setup):
    retrieval = await setup.search("Solar power", "solar  POWER ", "wind")
    assert setup.index.searches == [("Solar power", "wind")]
    assert [run.query.text for run in retrieval.runs] == ["Solar power", "solar  POWER ", "wind"]
    assert found(retrieval) == [["Solar power"], ["Solar power"], ["wind"]]


async def test_known_results_need_no_search(setup: Setup):
    await setup.search("a", "b")
    retrieval = await setup.search("A", "c")
    assert setup.index.searches == [("a", "b"), ("c",)]
    assert found(retrieval) == [["a"], ["c"]]
    assert (setup.looked_up("hit"), setup.looked_up("miss")) == (1, 3)


async def test_another_size_or_filter_is_another_search(setup: Setup):
    await setup.search("a")
    await setup.search("a", size=11)
    await setup.search("a", after=60_000)
    assert len(setup.index.searches) == 3


async def test_a_changed_index_is_searched_again(setup: Setup):
    await setup.search("a")
    setup.index.results["a"] = (hit("new"),)
    setup.index.word = "g2"
    await setup.watch.poll()
    assert found(await setup.search("a")) == [["new"]]


async def test_a_size_of_zero_turns_the_cache_off(make: Callable[..., Setup]):
    setup = make(size=0)
    await setup.watch.poll()
    setup.index.gate = asyncio.Event()
    both = asyncio.gather(setup.search("a"), setup.search("a"))
    await asyncio.sleep(0.01)
    setup.index.gate.set()
    await both
    assert setup.index.searches == [("a",), ("a",)]
    assert len(setup.cache) == 0
    assert setup.looked_up("miss") == 0


async def test_nothing_is_answered_from_a_cache_whose_generation_is_unknown(
    make: Callable[..., Setup],
):
    setup = make(poll_s=0.01)
    await setup.watch.poll()
    await setup.search("a")
    await asyncio.sleep(0.03)
    await setup.search("a")
    assert len(setup.index.searches) == 2


async def test_an_index_that_is_down_still_answers_what_was_asked_lately(
    make: Callable[..., Setup],
):
    setup = make(poll_s=0.01)
    await setup.watch.poll()
    await setup.search("a")
    await asyncio.sleep(0.03)
    setup.index.error = RetrievalUnavailable("gone")
    retrieval = await setup.search("a", "b")
    assert found(retrieval) == [["a"], []]
    assert [run.ok for run in retrieval.runs] == [True, False]
    assert retrieval.degraded == PARTIAL


async def test_requests_share_the_search_of_a_text_in_flight(setup: Setup):
    setup.index.gate = asyncio.Event()
    first = asyncio.create_task(setup.search("a", "b"))
    await asyncio.sleep(0)
    second = asyncio.create_task(setup.search("b", "c"))
    await asyncio.sleep(0.01)
    setup.index.gate.set()
    assert found(await first) == [["a"], ["b"]]
    assert found(await second) == [["b"], ["c"]]
    assert setup.index.searches == [("a", "b"), ("c",)]
    assert setup.looked_up("shared") == 1


async def test_a_waiter_that_leaves_does_not_cancel_the_search_of_the_others(setup: Setup):
    setup.index.gate = asyncio.Event()
    first = asyncio.create_task(setup.search("a"))
    await asyncio.sleep(0)
    second = asyncio.create_task(setup.search("a"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0.01)
    setup.index.gate.set()
    assert found(await second) == [["a"]]
    assert setup.index.searches == [("a",)]
    assert setup.index.cancelled == 0


async def test_the_search_is_cancelled_when_the_last_waiter_has_left(setup: Setup):
    setup.index.gate = asyncio.Event()
    waiters = [asyncio.create_task(setup.search("a")) for _ in range(3)]
    await asyncio.sleep(0.01)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    await asyncio.sleep(0)
    assert setup.index.cancelled == 1
    setup.index.gate = None
    assert found(await setup.search("a")) == [["a"]]


async def test_every_waiter_keeps_its_own_deadline(setup: Setup):
    """The one in a hurry leaves; the patient one gets the same search's result."""
    setup.index.gate = asyncio.Event()
    patient = asyncio.create_task(setup.search("a"))
    await asyncio.sleep(0)
    with pytest.raises(RetrievalTimeout):
        await setup.search("a", within=0.02)
    setup.index.gate.set()
    assert found(await patient) == [["a"]]
    assert setup.index.searches == [("a",)]


async def test_a_search_that_ended_on_a_shorter_deadline_is_made_once_more(setup: Setup):
    setup.index.gate = asyncio.Event()
    hurried = asyncio.create_task(setup.search("a", within=0.02))
    await asyncio.sleep(0)
    patient = asyncio.create_task(setup.search("a"))
    with pytest.raises(RetrievalTimeout):
        await hurried
    await asyncio.sleep(0.02)
    setup.index.gate.set()
    assert found(await patient) == [["a"]]
    assert setup.index.searches == [("a",), ("a",)]


async def test_a_failed_search_is_not_made_again_nor_kept(setup: Setup):
    setup.index.error = RetrievalUnavailable("gone")
    with pytest.raises(RetrievalUnavailable, match="gone"):
        await setup.search("a")
    assert len(setup.index.searches) == 1
    setup.index.error = None
    assert found(await setup.search("a")) == [["a"]]


async def test_an_index_that_ignores_its_deadline_is_left_in_time(setup: Setup):
    setup.index.gate = asyncio.Event()
    setup.index.honours_until = False
    began = asyncio.get_running_loop().time()
    with pytest.raises(RetrievalTimeout):
        await setup.search("a", within=0.02)
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.02)
    await asyncio.sleep(0)
    assert setup.index.cancelled == 1


async def test_a_passed_deadline_begins_no_search_but_takes_what_is_known(setup: Setup):
    await setup.search("a")
    retrieval = await setup.search("a", "b", within=-1)
    assert found(retrieval) == [["a"], []]
    assert retrieval.degraded == PARTIAL
    with pytest.raises(RetrievalTimeout):
        await setup.search("c", within=-1)
    assert setup.index.searches == [("a",)]


async def test_an_error_the_index_should_not_raise_counts_as_unavailable(setup: Setup):
    setup.index.error = ZeroDivisionError("oops")
    with pytest.raises(RetrievalUnavailable, match="oops"):
        await setup.search("a")


async def test_a_query_that_failed_is_marked_and_the_rest_is_used(setup: Setup):
    setup.index.results["b"] = None
    retrieval = await setup.search("a", "b")
    assert [run.ok for run in retrieval.runs] == [True, False]
    assert retrieval.degraded == PARTIAL


async def test_missing_shards_are_told_and_such_results_are_not_kept(setup: Setup):
    setup.index.shards = (3, 5)
    retrieval = await setup.search("a")
    assert (retrieval.shards_ok, retrieval.shards_total) == (3, 5)
    assert retrieval.degraded == PARTIAL
    assert len(setup.cache) == 0


async def test_results_cut_off_by_time_are_told_and_not_kept(setup: Setup):
    setup.index.timed_out = True
    assert (await setup.search("a")).degraded == PARTIAL
    assert len(setup.cache) == 0


async def test_known_results_remember_their_shards(setup: Setup):
    setup.index.shards = (5, 5)
    await setup.search("a")
    retrieval = await setup.search("a")
    assert setup.index.searches == [("a",)]
    assert (retrieval.shards_ok, retrieval.shards_total) == (5, 5)


async def test_closing_cancels_the_searches_under_way(setup: Setup):
    setup.index.gate = asyncio.Event()
    search = asyncio.create_task(setup.search("a"))
    while not setup.index.searches:
        await asyncio.sleep(0)
    await setup.cache.aclose()
    with pytest.raises(RetrievalUnavailable):
        await search


async def test_many_requests_that_come_and_go_leave_no_task_no_flight_and_no_waiter(setup: Setup):
    setup.index.gate = asyncio.Event()
    tasks = [
        asyncio.create_task(setup.search(f"q{i % 7}", f"q{i % 5}", within=0.01 * (i % 4)))
        for i in range(60)
    ]
    await asyncio.sleep(0.005)
    for task in tasks[::3]:
        task.cancel()
    await asyncio.sleep(0.02)
    setup.index.gate.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in done} == {
        Retrieval,
        RetrievalTimeout,
        asyncio.CancelledError,
    }
    assert len(setup.cache.begun) > 1
    assert setup.left_behind() == []
