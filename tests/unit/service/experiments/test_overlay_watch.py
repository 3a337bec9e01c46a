"""The overlay is followed; without Redis the last one stays, and it says how old it is."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.errors import OverlayUnavailable
from service.experiments import overlay_watch as module
from service.experiments.file import CheckedFile
from service.experiments.live import LiveExperiments
from service.experiments.overlay import Act, Action, Overlay
from service.experiments.overlay_watch import following_overlay
from tests.unit.service.experiments.builders import NOW_MS, experiment, layer
from tests.unit.service.generation.engines.fakes import until

PAUSED = Overlay({"e": Action(Act.PAUSE, "anna", "too many errors", NOW_MS)})


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.005)


class Followed:
    """Experiments over which an overlay is laid that a test changes, or takes away."""

    def __init__(self) -> None:
        self.live = LiveExperiments(CheckedFile(layer(experiment("e"))))
        self.held: Overlay | None = Overlay()
        self.ages: list[float] = []

    async def _read(self, until: float) -> Overlay:
        if self.held is None:
            raise OverlayUnavailable("Redis is away")
        return self.held

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        def show(_: LiveExperiments, age_s: float) -> None:
            self.ages.append(age_s)

        async with following_overlay(self.live, self._read, show):
            yield

    async def looks(self, count: int = 3) -> None:
        """Wait until it has looked so many times more."""
        before = len(self.ages)
        await until(lambda: len(self.ages) >= before + count)

    @property
    def enrols(self) -> bool:
        return bool(self.live.assign("maya", NOW_MS))


async def test_what_is_paused_by_hand_enrols_nobody_and_what_is_resumed_does_again() -> None:
    followed = Followed()
    async with followed.followed():
        assert followed.enrols
        followed.held = PAUSED
        await until(lambda: not followed.enrols)
        followed.held = Overlay({"e": Action(Act.RESUME, "ben", "mended", NOW_MS, revision=2)})
        await until(lambda: followed.enrols)


async def test_what_was_paused_before_the_start_enrols_nobody_from_the_first_request_on() -> None:
    followed = Followed()
    followed.held = PAUSED
    async with followed.followed():
        assert not followed.enrols


async def test_without_redis_it_starts_by_the_file_alone_and_says_so() -> None:
    followed = Followed()
    followed.held = None
    async with followed.followed():
        assert followed.enrols
        assert not followed.live.overlay_ok
        followed.held = PAUSED
        await until(lambda: not followed.enrols)
        assert followed.live.overlay_ok


async def test_while_redis_is_away_the_last_one_stays_and_grows_old(
    caplog: pytest.LogCaptureFixture,
) -> None:
    followed = Followed()
    followed.held = PAUSED
    with caplog.at_level(logging.INFO):
        async with followed.followed():
            followed.held = None
            await until(lambda: not followed.live.overlay_ok)
            await followed.looks()
            assert not followed.enrols
            assert followed.ages[-1] > followed.ages[-3] > 0
            followed.held = PAUSED
            await until(lambda: followed.live.overlay_ok)
    told = [message for message in caplog.messages if "Redis is away" in message]
    assert len(told) == 1
    assert caplog.messages.count("reading the overlay of experiments works again") == 1


async def test_it_is_laid_over_each_new_file() -> None:
    followed = Followed()
    followed.held = PAUSED
    async with followed.followed():
        followed.live.take(CheckedFile(layer(experiment("e", traffic=9_000), name="layer")))
        assert not followed.enrols


def test_files_are_compared_without_what_was_done_by_hand() -> None:
    live = LiveExperiments(CheckedFile(layer(experiment("e", traffic=100))))
    live.lay(Overlay({"e": Action(Act.RAMP, "anna", "looks good", NOW_MS, traffic=2_500)}))
    live.take(CheckedFile(layer(experiment("e", traffic=2_500))))
    live.lay(Overlay({"e": Action(Act.STOP, "anna", "enough", NOW_MS)}))
    with pytest.raises(ValueError, match="was 0%: put it back"):
        live.take(CheckedFile(layer(experiment("e", traffic=2_500, holdout=100))))


async def test_keys_of_no_experiment_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    followed = Followed()
    followed.held = Overlay({"gone": PAUSED.actions["e"]}, unreadable=("odd",))
    async with followed.followed():
        await followed.looks(5)
    told = [message for message in caplog.messages if "gone, odd" in message]
    assert len(told) == 1


async def test_an_action_that_becomes_unreadable_leaves_what_was_known() -> None:
    followed = Followed()
    followed.held = PAUSED
    async with followed.followed():
        followed.held = Overlay(unreadable=("e",))
        await followed.looks(4)
        assert not followed.enrols
