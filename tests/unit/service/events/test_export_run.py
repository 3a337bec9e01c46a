"""An export while the stream that it reads changes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest

from service.errors import EventsUnavailable, SignalsUnavailable
from service.events.export.folder import opened
from service.events.export.run import Exporter
from service.events.export.segments import DeletedAt
from service.events.export.summary import Summary, read_summaries
from service.events.export.tables import JsonTables
from service.redis.calls import Calls
from tests.parts.exported_events import rows, segments
from tests.parts.streams import exposure
from tests.unit.service.events.fake_streams import FakeRedis

START_MS = 1_764_547_200_000


async def nobody(user_ids: Collection[str]) -> dict[str, int]:
    return {}


def export(fake: FakeRedis, folder: Path, deleted_at: DeletedAt = nobody) -> list[Summary]:
    async def run() -> list[Summary]:
        calls = Calls(fake, at_once=1, failure=EventsUnavailable)
        with opened(folder, "jsonl") as into:
            exporter = Exporter(
                calls, into, JsonTables, deleted_at, size=5_000, told=lambda count: None
            )
            return [summary async for _, summary in exporter.segments()]

    return asyncio.run(run())


@pytest.fixture
def fake() -> FakeRedis:
    made = FakeRedis()
    for number in range(2_000):
        made.add(START_MS + number, "x", exposure(START_MS + number, number))
    return made


def test_what_is_trimmed_while_it_is_read_is_said(fake: FakeRedis, tmp_path: Path) -> None:
    calls = 0

    async def slowly(user_ids: Collection[str]) -> dict[str, int]:
        nonlocal calls
        calls += 1
        if calls == 2:  # a thousand have been read
            del fake.entries[:1_300]
        return {}

    before, after = export(fake, tmp_path, slowly)
    assert (before.entries, before.trimmed) == (1_000, None)
    assert after.entries == 700
    assert after.trimmed is not None
    assert [name.partition("-")[0] for name in after.trimmed] == [
        str(START_MS + 999),
        str(START_MS + 1_300),
    ]


def test_entries_that_come_meanwhile_are_for_the_next_export(
    fake: FakeRedis, tmp_path: Path
) -> None:
    fake.now_ms = START_MS + 1_000 + 1_499
    assert [summary.entries for summary in export(fake, tmp_path)] == [1_500]
    assert [summary.entries for summary in export(fake, tmp_path)] == []
    fake.now_ms += 10_000
    assert [summary.entries for summary in export(fake, tmp_path)] == [500]
    assert [row["sequence"] for row in rows(tmp_path, "exposures")] == list(range(2_000))


def test_a_failure_in_the_middle_leaves_no_part_of_a_segment(
    fake: FakeRedis, tmp_path: Path
) -> None:
    calls = 0

    async def away(user_ids: Collection[str]) -> dict[str, int]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise SignalsUnavailable("Redis did not answer in time")
        return {}

    with pytest.raises(SignalsUnavailable):
        export(fake, tmp_path, away)
    assert segments(tmp_path) == []
    assert [summary.entries for summary in export(fake, tmp_path)] == [2_000]
    assert [summary.rows["exposures"] for _, summary in read_summaries(tmp_path)] == [2_000]
