"""The index is asked for its generation in the background."""

from __future__ import annotations

import asyncio

import pytest

from service.errors import RetrievalUnavailable
from service.retrieval.watch import IndexWatch
from tests.unit.service.retrieval.fakes import FakeIndex, eventually

pytestmark = pytest.mark.jumping_clock


async def test_listeners_hear_of_every_change_and_only_of_changes():
    index = FakeIndex()
    watch = IndexWatch(index)
    heard: list[str | None] = []
    watch.on_change(lambda: heard.append(watch.generation))
    await watch.poll()
    await watch.poll()
    index.word = "g2"
    await watch.poll()
    assert heard == ["g1", "g2"]


@pytest.mark.parametrize("error", [RetrievalUnavailable("gone"), ZeroDivisionError("oops")])
async def test_the_watch_outlives_any_error(error: Exception):
    index = FakeIndex()
    index.error = error
    watch = IndexWatch(index, poll_s=0.005)
    await watch.start()
    await eventually(lambda: index.polls > 2)
    assert not watch.fresh
    index.error = None
    await eventually(lambda: watch.fresh)
    await watch.stop()


async def test_a_generation_not_confirmed_for_two_polls_is_not_relied_on():
    index = FakeIndex()
    watch = IndexWatch(index, poll_s=1.0)
    assert not watch.fresh
    await watch.poll()
    await asyncio.sleep(2.0)
    assert watch.fresh
    await asyncio.sleep(0.1)
    assert not watch.fresh


async def test_a_poll_that_hangs_is_given_up():
    class Hanging(FakeIndex):
        async def generation(self, until: float) -> str:
            await asyncio.Event().wait()
            return ""

    with pytest.raises(TimeoutError):
        await IndexWatch(Hanging(), poll_s=0.01).poll()


async def test_stopping_ends_the_polls():
    index = FakeIndex()
    watch = IndexWatch(index, poll_s=0.001)
    await watch.start()
    await eventually(lambda: index.polls > 1)
    await watch.stop()
    polls = index.polls
    await asyncio.sleep(0.01)
    assert index.polls == polls
    await watch.stop()
