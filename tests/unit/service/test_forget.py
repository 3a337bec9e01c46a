from __future__ import annotations

import pytest

from service.errors import EventsUnavailable, SignalsUnavailable
from service.forget import Forgotten, forget
from service.records import Signal
from tests.unit.service.api.fakes import FakeEvents, FakeStore

MAYA = {"maya": (Signal(1, "search", "tents", "e1"),)}


async def test_a_user_is_forgotten_by_store_and_events() -> None:
    store, events = FakeStore(dict(MAYA)), FakeEvents()
    assert await forget(store, events, "maya", 1.0) == Forgotten(signals=True, events=0)
    assert (store.users, events.erased) == ({}, {"maya"})


async def test_events_that_are_left_are_said_and_doing_it_again_removes_them() -> None:
    store, events = FakeStore(dict(MAYA)), FakeEvents(broken=True)
    with pytest.raises(EventsUnavailable, match=r"signals .* are deleted.*delete the user again"):
        await forget(store, events, "maya", 1.0)
    assert store.users == {}
    events.broken = False
    assert await forget(store, events, "maya", 1.0) == Forgotten(signals=False, events=0)
    assert events.erased == {"maya"}


async def test_no_event_is_removed_before_the_tombstone_is_set() -> None:
    store, events = FakeStore(dict(MAYA), broken=True), FakeEvents()
    with pytest.raises(SignalsUnavailable):
        await forget(store, events, "maya", 1.0)
    assert events.erased == set()
