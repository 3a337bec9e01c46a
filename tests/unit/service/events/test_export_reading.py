"""Looking for exposures further back in a stream, without reading all of it."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from service.errors import EventsUnavailable
from service.events.export.reading import AFTER_MS, BEFORE_MS, Stream
from service.redis.calls import Calls
from tests.parts.streams import Object, exposure, feedback
from tests.unit.service.events.fake_streams import FakeRedis

START_MS = 1_764_547_200_000


def found_in(fake: FakeRedis, *request_ids: str) -> list[str]:
    async def look() -> list[str]:
        stream = Stream(Calls(fake, at_once=1, failure=EventsUnavailable), 0)
        found = []
        async for request_id, data in stream.exposures(request_ids):
            assert orjson.loads(data)["id"] == request_id
            found.append(request_id)
        return found

    return asyncio.run(look())


@pytest.fixture
def busy() -> tuple[FakeRedis, list[Object]]:
    """Twenty minutes of ten requests a second."""
    fake = FakeRedis()
    given = [exposure(START_MS + 100 * number, number) for number in range(12_000)]
    for one in given:
        fake.add(one["at"] + 30, "x", one)
    return fake, given


def test_only_the_seconds_of_the_requests_are_read(
    busy: tuple[FakeRedis, list[Object]],
) -> None:
    fake, given = busy
    wanted = [given[place]["id"] for place in (11_000, 7, 6_000)]
    assert found_in(fake, *wanted) == [wanted[1], wanted[2], wanted[0]]
    assert len(fake.read) <= 3 * 200


def test_no_entry_is_read_twice_however_many_are_looked_for(
    busy: tuple[FakeRedis, list[Object]],
) -> None:
    fake, given = busy
    missing = [exposure(START_MS + 100 * number, 20_000 + number)["id"] for number in range(3_000)]
    wanted = [one["id"] for one in given[:3_000:7]]
    assert found_in(fake, *wanted, *missing) == wanted
    assert len(fake.read) == len(set(fake.read))
    assert len(fake.read) < 4_000


def test_an_exposure_is_found_within_the_bounds_of_clocks_and_delays() -> None:
    fake = FakeRedis()
    early, late, too_late = (exposure(START_MS + 100_000 * n, n) for n in range(3))
    fake.add(early["at"] - BEFORE_MS, "x", early)
    fake.add(late["at"] + AFTER_MS, "x", late)
    for number in range(500):  # a page of others passes by before
        at_ms = too_late["at"] + number * 200
        fake.add(at_ms, "x", exposure(at_ms, 9_000 + number))
    fake.add(too_late["at"] + 100 * AFTER_MS, "x", too_late)
    assert found_in(fake, too_late["id"], late["id"], early["id"]) == [early["id"], late["id"]]


def test_neither_other_kinds_nor_texts_that_look_like_an_id_are_exposures() -> None:
    fake = FakeRedis()
    one, other = exposure(START_MS, 0), exposure(START_MS, 1)
    text = f'"id":"{one["id"]}"'
    fake.add(START_MS + 1, "f", feedback(one, "e1"))
    fake.add(START_MS + 2, "x", {"queries": [[text, 1.0, 1, 1, "own"]], **other})
    assert found_in(fake, one["id"], other["id"]) == [other["id"]]


def test_ids_that_name_no_time_and_empty_streams_end_at_once() -> None:
    assert found_in(FakeRedis(), "request-7", exposure(START_MS, 0)["id"]) == []
    assert found_in(FakeRedis()) == []
