"""Students that come, change and go while requests are in work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from tests.unit.service.generation.engines.fakes import call, go, settle, soon, until
from tests.unit.service.rosters import Opening, configured, wanted


@pytest.fixture
async def opening() -> AsyncIterator[Opening]:
    it = Opening()
    yield it
    await it.roster.close()
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left behind"
    assert not any(engine.opened for engine in it.engines.values()), "a session was left open"


ONE, TWO = configured("1", "http://one"), configured("2", "http://two")


async def test_the_first_students_are_in_use_whether_their_engines_answer_or_not(
    opening: Opening,
) -> None:
    opening.engine("http://one").alive = False
    await opening.roster.begin(wanted("1", ONE, TWO))
    assert opening.used == ["tiny@1", "tiny@2"]
    assert not opening.roster.default.can_serve


async def test_a_new_student_is_used_once_its_engine_has_answered(opening: Opening) -> None:
    await opening.roster.begin(wanted("1", ONE))
    opening.engine("http://two").alive = False
    opening.roster.take(wanted("1", ONE, TWO))
    await until(lambda: len(opening.opened) == 2)
    assert [in_use for _, in_use in opening.roster.students()] == [True, False]
    assert opening.used == ["tiny@1"]
    assert set(opening.roster.lasting) == {"tiny@1"}
    opening.engine("http://two").alive = True
    await until(lambda: opening.used == ["tiny@1", "tiny@2"])
    assert set(opening.roster.lasting) == {"tiny@1", "tiny@2"}


async def test_a_student_without_engines_waits_for_none(opening: Opening) -> None:
    await opening.roster.begin(wanted("1", ONE))
    opening.roster.take(wanted("2", configured("2")))
    await until(lambda: opening.used == ["tiny@2"])


async def test_the_default_changes_when_the_new_one_can_serve_and_the_old_one_serves_until_then(
    opening: Opening,
) -> None:
    await opening.roster.begin(wanted("1", ONE))
    opening.engine("http://two").alive = False
    opening.roster.take(wanted("2", TWO))
    await until(lambda: len(opening.opened) == 2)
    assert opening.used == ["tiny@1"]
    assert not opening.roster.lasting, "an experiment may not name one that goes"
    opening.engine("http://two").alive = True
    await until(lambda: opening.used == ["tiny@2"])


async def test_the_default_does_not_change_to_one_in_use_whose_engines_are_gone(
    opening: Opening,
) -> None:
    opening.engine("http://two").alive = False
    await opening.roster.begin(wanted("1", ONE, TWO))
    await until(lambda: opening.roster.default.can_serve)
    opening.roster.take(wanted("2", ONE, TWO))
    await asyncio.sleep(0.2)
    assert opening.used == ["tiny@1", "tiny@2"]
    opening.engine("http://two").alive = True
    await until(lambda: opening.used == ["tiny@2", "tiny@1"])


async def test_a_default_that_can_serve_changes_at_once(opening: Opening) -> None:
    await opening.roster.begin(wanted("1", ONE, TWO))
    await until(lambda: all(student.can_serve for student in opening.opened))
    opening.roster.take(wanted("2", ONE, TWO))
    assert opening.used == ["tiny@2", "tiny@1"]
    assert len(opening.opened) == 2, "nothing is opened again"


async def test_one_that_goes_gets_no_new_requests_and_is_closed_when_its_calls_have_ended() -> None:
    opening = Opening(late_s=60, longest_s=0.1)
    await opening.roster.begin(wanted("1", ONE, TWO))
    await until(lambda: all(student.can_serve for student in opening.opened))
    _, gone = opening.opened
    running = go(gone.dispatcher.complete(call(1), soon(60)))
    await settle()
    opening.roster.take(wanted("1", ONE))
    assert opening.used == ["tiny@1"]
    # A request that chose it before may ask it only now.
    second = go(gone.dispatcher.complete(call(2), soon(60)))
    await asyncio.sleep(0.3)
    assert not opening.closed(gone), "its calls are in work"
    for stream in opening.engine("http://two").streams:
        stream.end("storm harbour")
    assert (await running).finished
    assert (await second).finished
    await until(lambda: opening.closed(gone))
    await opening.roster.close()


async def test_calls_that_do_not_end_are_given_up_after_a_while(opening: Opening) -> None:
    await opening.roster.begin(wanted("1", ONE, TWO))
    await until(lambda: all(student.can_serve for student in opening.opened))
    _, gone = opening.opened
    running = go(gone.dispatcher.complete(call(1), soon(60)))
    opening.roster.take(wanted("1", ONE))
    await until(lambda: opening.closed(gone))
    with pytest.raises(Exception, match="the engines are being closed"):
        await running


async def test_a_student_with_other_settings_takes_the_place_of_the_old_one(
    opening: Opening,
) -> None:
    await opening.roster.begin(wanted("1", ONE))
    moved = configured("1", "http://moved", timeout_ms=500)
    opening.engine("http://moved").alive = False
    opening.roster.take(wanted("1", moved))
    await until(lambda: len(opening.opened) == 2)
    old, new = opening.opened
    assert opening.roster.default is old
    opening.engine("http://moved").alive = True
    await until(lambda: opening.roster.default is new)
    assert opening.roster.serving.students["tiny@1"].spec.timeout_ms == 500
    await until(lambda: opening.closed(old))


async def test_a_student_that_is_wanted_no_more_before_it_came_is_closed(opening: Opening) -> None:
    await opening.roster.begin(wanted("1", ONE))
    opening.engine("http://two").alive = False
    opening.roster.take(wanted("2", ONE, TWO))
    await until(lambda: len(opening.opened) == 2)
    opening.roster.take(wanted("1", ONE))
    await until(lambda: opening.closed(opening.opened[1]))
    assert opening.used == ["tiny@1"]


async def test_what_is_the_same_is_not_opened_again(opening: Opening) -> None:
    await opening.roster.begin(wanted("1", ONE))
    for _ in range(3):
        opening.roster.take(wanted("1", configured("1", "http://one"), TWO))
    await until(lambda: opening.used == ["tiny@1", "tiny@2"])
    assert [student.of.key for student in opening.opened] == ["tiny@1", "tiny@2"]


async def test_files_that_cannot_be_used_are_told_and_tried_with_the_next_change(
    opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    await opening.roster.begin(wanted("1", ONE))
    opening.broken.add("tiny@2")
    with caplog.at_level(logging.ERROR):
        opening.roster.take(wanted("2", ONE, TWO))
        await until(lambda: bool(caplog.messages))
    assert "tiny@2 cannot be opened: tiny@2: not a readable tokenizer" in caplog.messages[0]
    assert opening.used == ["tiny@1"]
    opening.broken.clear()
    opening.roster.take(wanted("2", ONE, TWO))
    await until(lambda: opening.used == ["tiny@2", "tiny@1"])


async def test_closing_ends_those_that_come_and_those_that_go() -> None:
    opening = Opening(late_s=60, longest_s=60)
    three = configured("3", "http://three")
    opening.engine("http://three").alive = False
    await opening.roster.begin(wanted("1", ONE, TWO))
    opening.roster.take(wanted("1", ONE, three))
    await until(lambda: len(opening.opened) == 3)
    await opening.roster.close()
    assert all(opening.closed(student) for student in opening.opened)
