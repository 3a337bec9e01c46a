"""What a process knows of how busy it is, from look to look."""

from __future__ import annotations

import asyncio
import logging

import pytest

from service.overload.admission import Admission
from service.overload.gradient import GradientLimit
from service.overload.load import Load
from service.overload.saving import Saving, Step


async def test_waits_for_a_turn_lower_the_limit_and_waits_for_others_do_not() -> None:
    load = Load(Admission(256, GradientLimit(0.002, most=256, first=40)))
    with load.admission.permit(40):
        load.look(0.0)  # forty wait for an engine
        assert load.admission.limit > 40
        turns = [asyncio.ensure_future(load.run_queue.turn()) for _ in range(20)]
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        for turn in turns:
            await turn
        # What the loop did meanwhile: the turns were given at once after the wait.
        before = load.admission.limit
        load.look(0.5)
        assert load.wait_s > 0.5 / 21
        assert load.admission.limit < before


async def test_one_late_look_among_many_requests_that_did_not_wait_says_little() -> None:
    load = Load(Admission(256, GradientLimit(0.02, most=256, first=40)))
    for _ in range(99):
        await load.run_queue.turn()
        await asyncio.sleep(0)
    load.look(0.5)
    assert load.wait_s == pytest.approx(0.005)
    assert load.admission.limit >= 40


def test_as_places_fill_less_is_spent_and_it_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    load = Load(Admission(10), Saving(samples_from=0.7, queries_from=0.85))
    with caplog.at_level(logging.INFO), load.admission.permit(10):
        for _ in range(30):
            load.look(0.0)
        assert load.step is Step.ALL_OF_OWN
    with caplog.at_level(logging.INFO):
        for _ in range(30):
            load.look(0.0)
    assert load.step is Step.NOTHING
    assert len(caplog.records) == 2


async def test_callers_with_time_are_let_wait() -> None:
    """Half a second is a long wait for those who have one, and a short one for those with 15."""
    limits = []
    for total_s in (1.0, 15.0):
        load = Load(Admission(256, GradientLimit(0.02, most=256, first=40)))
        await load.run_queue.turn(total_s=total_s)
        with load.admission.permit(40):
            load.look(1.0)
        limits.append(load.admission.limit)
    assert limits[0] < 40 < limits[1]
