"""Searches that several requests wait for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from service.errors import RetrievalTimeout, RetrievalUnavailable
from service.records import IndexAnswer
from service.retrieval.flights import Flight, Flights
from tests.unit.service.retrieval.fakes import hit

pytestmark = pytest.mark.jumping_clock


class Air:
    """Flights whose searches answer when the test says so."""

    def __init__(self) -> None:
        self.flights: Flights[str] = Flights()
        self.landed: list[Flight[str]] = []
        self.gate = asyncio.Event()
        self.cancelled = 0

    def begin(self, *keys: str, waiters: int = 1, answer: object = None) -> Flight[str]:
        async def search() -> IndexAnswer:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, IndexAnswer):
                return answer
            return IndexAnswer(tuple((hit(key),) for key in keys))

        flight = self.flights.begin(keys, search, landed=self.landed.append)
        for _ in range(waiters):
            flight.work.join()
        return flight

    async def land(self, flight: Flight[str]) -> None:
        self.gate.set()
        await flight.work.task


@pytest.fixture
async def air() -> AsyncIterator[Air]:
    air = Air()
    yield air
    await air.flights.aclose()
    left = [task for task in asyncio.all_tasks() if task.get_name() == "index-search"]
    assert left == []


async def test_a_flight_is_found_by_each_of_its_keys_until_it_has_landed(air: Air) -> None:
    flight = air.begin("a", "b")
    assert [air.flights.find(key) for key in "abc"] == [flight, flight, None]
    await air.land(flight)
    assert [air.flights.find(key) for key in "ab"] == [None, None]
    assert {k: f.hits for k, f in flight.found.items()} == {"a": (hit("a"),), "b": (hit("b"),)}
    assert air.landed == [flight]


async def test_a_text_that_was_not_answered_is_not_among_the_hits(air: Air) -> None:
    flight = air.begin("a", "b", answer=IndexAnswer((None, (hit("b"),))))
    await air.land(flight)
    assert list(flight.found) == ["b"]


async def test_one_waiter_that_leaves_takes_nothing_from_the_other(air: Air) -> None:
    flight = air.begin("a", waiters=2)
    await asyncio.sleep(0)
    air.flights.leave([flight])
    await air.land(flight)
    assert (list(flight.found), air.cancelled) == (["a"], 0)


async def test_with_the_last_waiter_the_search_is_cancelled_and_its_keys_are_free(
    air: Air,
) -> None:
    flight = air.begin("a", waiters=2)
    await asyncio.sleep(0)
    air.flights.leave([flight])
    air.flights.leave([flight])
    assert air.flights.find("a") is None
    again = air.begin("a")
    with pytest.raises(asyncio.CancelledError):
        await flight.work.task
    assert air.cancelled == 1
    assert air.flights.find("a") is again, "the one that was cancelled did not take it along"


@pytest.mark.parametrize(
    ("answer", "complete", "late"),
    [
        (IndexAnswer(((hit("a"),),)), True, False),
        (IndexAnswer(((hit("a"),),), 3, 5), False, False),
        (IndexAnswer(((hit("a"),),), timed_out=True), False, True),
        (RetrievalTimeout("too slow"), False, True),
        (RetrievalUnavailable("gone"), False, False),
    ],
)
async def test_what_a_flight_brought_may_be_kept_if_it_is_whole_and_tried_again_if_it_was_late(
    air: Air, answer: object, complete: bool, late: bool
) -> None:
    flight = air.begin("a", answer=answer)
    await air.land(flight)
    assert (flight.complete, flight.ran_out_of_time) == (complete, late)


async def test_an_error_the_index_should_not_raise_is_unavailable_and_logged(
    air: Air, caplog: pytest.LogCaptureFixture
) -> None:
    flight = air.begin("a", answer=ZeroDivisionError("oops"))
    with caplog.at_level(logging.ERROR):
        await air.land(flight)
    assert isinstance(flight.error, RetrievalUnavailable)
    assert "oops" in str(flight.error)
    assert "ZeroDivisionError: oops" in caplog.text
    assert air.landed == []


async def test_closing_cancels_what_is_in_the_air(air: Air) -> None:
    flights = [air.begin("a"), air.begin("b")]
    await asyncio.sleep(0)
    await air.flights.aclose()
    assert all(flight.work.task.cancelled() for flight in flights)
    assert air.cancelled == 2


async def test_closing_frees_the_keys_of_a_search_that_had_not_begun(air: Air) -> None:
    flight = air.begin("a")
    await air.flights.aclose()
    assert flight.work.task.cancelled()
    assert air.flights.find("a") is None


async def test_what_is_asked_for_while_it_closes_or_later_is_not_searched(air: Air) -> None:
    searched: list[str] = []
    slow = asyncio.Event()

    async def slow_to_leave() -> IndexAnswer:
        try:
            await asyncio.Event().wait()
        finally:
            await slow.wait()
        raise AssertionError("unreachable")

    async def search() -> IndexAnswer:
        searched.append("b")
        return IndexAnswer(((hit("b"),),))

    first = air.flights.begin("a", slow_to_leave, landed=air.landed.append)
    await asyncio.sleep(0)
    closing = asyncio.create_task(air.flights.aclose())
    await asyncio.sleep(0)
    meanwhile = air.flights.begin("b", search, landed=air.landed.append)
    await meanwhile.work.result()
    assert not closing.done()
    last = air.flights.begin("c", search, landed=air.landed.append)
    slow.set()
    await closing
    later = air.flights.begin("d", search, landed=air.landed.append)
    await later.work.result()
    assert first.work.task.cancelled()
    for flight in (meanwhile, last, later):
        assert flight.work.done
        assert isinstance(flight.error, RetrievalUnavailable)
        assert "is stopping" in str(flight.error)
    assert (searched, air.landed) == ([], [])
