"""Places: never more than there are, all come back, and a flood leaves the others theirs."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RETRY_AFTER_MAX_S, Overloaded, Refusal
from service.overload.admission import Admission
from service.overload.gradient import GradientLimit


@given(st.lists(st.integers(1, 4), max_size=20), st.integers(1, 8))
def test_permits_never_exceed_capacity_and_all_come_back(counts: list[int], capacity: int) -> None:
    admission = Admission(capacity)
    held = []
    for count in counts:
        permit = admission.permit(count)
        try:
            permit.__enter__()
        except Overloaded:
            assert admission.in_flight + count > capacity
        else:
            held.append(permit)
        assert admission.in_flight <= capacity
    for permit in held:
        permit.__exit__(None, None, None)
    assert admission.in_flight == 0


def of_limit(limit: int) -> Admission:
    """Places that stay as many, of a capacity far above them."""
    return Admission(256, GradientLimit(0.02, most=limit, first=limit))


class Crowd:
    """Callers over one admission; each ends a request of its own after some asks of all."""

    def __init__(
        self, admission: Admission, lasts: int, seed: int = 1, *, aside: bool = False
    ) -> None:
        """`aside`: requests wait for an engine from their beginning to their end."""
        self.admission = admission
        self.aside = aside
        self.lasts = lasts
        self.served: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.most = 0
        self._rng = random.Random(seed)
        self._running: list[tuple[int, ExitStack]] = []
        self._now = 0

    def ask(self, caller: str) -> None:
        held = ExitStack()
        try:
            held.enter_context(self.admission.permit(1, caller))
        except Overloaded:
            self.refused[caller] += 1
        else:
            if self.aside:
                held.enter_context(self.admission.standing_aside())
            self.served[caller] += 1
            self._running.append((self._now + self.lasts, held))
        self.most = max(self.most, self.admission.in_flight)

    def run(self, moments: int, chances: dict[str, float], look_every: int = 20) -> None:
        """In each moment every caller asks with its chance; several times where it is above 1."""
        for _ in range(moments):
            self._now += 1
            for ended in [one for one in self._running if one[0] <= self._now]:
                self._running.remove(ended)
                ended[1].close()
            asks = [
                name
                for name, chance in chances.items()
                for _ in range(int(chance) + (self._rng.random() < chance % 1))
            ]
            self._rng.shuffle(asks)
            for name in asks:
                self.ask(name)
            if self._now % look_every == 0:
                self.admission.look(0.0)


def test_a_caller_that_floods_does_not_take_the_room_of_one_that_asks_little() -> None:
    crowd = Crowd(of_limit(20), lasts=10)
    crowd.run(2_000, {"flood": 5, "little": 0.1})
    assert crowd.refused["little"] == 0
    assert crowd.served["little"] > 150
    assert crowd.refused["flood"] > crowd.served["flood"]
    assert crowd.served["flood"] > 0.75 * 20 * 2_000 / 10, "the rest of the room is the flood's"


def test_where_the_limit_is_the_capacity_hardly_a_request_of_one_who_asks_little_is_refused() -> (
    None
):
    """There is no room beyond it to be let in at once, before the flood gives places back."""
    crowd = Crowd(Admission(20), lasts=10)
    crowd.run(2_000, {"flood": 5, "little": 0.1})
    assert crowd.refused["little"] < 0.1 * crowd.served["little"]
    assert crowd.refused["flood"] > crowd.served["flood"]


def test_the_first_request_of_a_caller_finds_a_place_though_another_has_them_all() -> None:
    admission = Admission(256, GradientLimit(0.02, most=256, first=20))
    crowd = Crowd(admission, lasts=1_000)
    for _ in range(30):
        crowd.ask("flood")
    assert (crowd.served["flood"], admission.in_flight) == (20, 20)
    crowd.ask("new")
    assert crowd.served["new"] == 1


def test_two_floods_share_the_room_in_halves() -> None:
    crowd = Crowd(of_limit(20), lasts=10)
    crowd.run(200, {"one": 20})  # the first has it all
    before = crowd.served["one"]
    crowd.run(2_000, {"one": 5, "two": 5})
    assert 0.8 < crowd.served["two"] / (crowd.served["one"] - before) < 1.25


def test_a_caller_alone_has_all_the_room_and_gets_it_back_when_another_has_gone() -> None:
    crowd = Crowd(Admission(20), lasts=10)
    crowd.run(1_000, {"flood": 20, "other": 5})
    crowd.run(2_000, {"flood": 20})
    before = crowd.served["flood"]
    crowd.run(1_000, {"flood": 20})
    assert crowd.served["flood"] - before == pytest.approx(20 * 1_000 / 10, rel=0.02)


@given(st.integers(0, 2**32), st.integers(4, 60), st.integers(1, 40))
def test_even_for_their_shares_callers_go_only_a_quarter_beyond_the_limit(
    seed: int, first: int, lasts: int
) -> None:
    admission = Admission(64, GradientLimit(0.02, most=64, first=first))
    crowd = Crowd(admission, lasts, seed)
    crowd.run(60, {"one": 9.5, "two": 4.5, "three": 0.3}, look_every=1_000)
    assert crowd.most <= min(64, 1.25 * admission.limit + 1)


def test_more_users_in_one_call_than_the_limit_are_let_in_while_half_of_it_is_free() -> None:
    admission = Admission(256, GradientLimit(0.02, most=256, first=20))
    with admission.permit(1), admission.permit(63):
        assert admission.in_flight == 64
        with pytest.raises(Overloaded), admission.permit(63):
            pass
    with pytest.raises(Overloaded), admission.permit(257):
        pass


def test_who_waits_for_an_engine_holds_no_place_and_takes_it_again_without_asking() -> None:
    admission = of_limit(2)
    with ExitStack() as waiting:
        for count in range(1, 11):
            waiting.enter_context(admission.permit(1, "one"))
            waiting.enter_context(admission.standing_aside())
            assert (admission.aside, admission.in_flight) == (count, count)
        with admission.permit(1, "one"), admission.permit(1, "one"):
            assert admission.in_flight == 12
            with pytest.raises(Overloaded), admission.permit(1, "one"):
                pass
    assert (admission.aside, admission.in_flight) == (0, 0)
    with admission.permit(1, "one"), admission.standing_aside():
        pass
    with admission.permit(2, "one"):
        pass


def test_those_aside_and_those_in_work_are_never_more_than_the_capacity_together() -> None:
    admission = Admission(3)
    with admission.permit(), admission.standing_aside(), admission.permit(2):
        with pytest.raises(Overloaded), admission.permit():
            pass
        assert admission.in_flight == 3


def test_a_flood_that_waits_for_an_engine_leaves_the_others_their_part_of_the_capacity() -> None:
    admission = Admission(20, GradientLimit(0.02, most=20, first=20))
    crowd = Crowd(admission, lasts=50, aside=True)
    crowd.run(3_000, {"flood": 5, "little": 0.02})
    assert crowd.refused["little"] < 0.3 * crowd.served["little"]
    assert crowd.refused["flood"] > crowd.served["flood"]


async def test_each_request_stands_aside_for_the_caller_that_sent_it() -> None:
    admission = of_limit(10)
    inside = asyncio.Event()

    async def request(caller: str) -> None:
        with admission.permit(1, caller):
            await asyncio.sleep(0)
            with admission.standing_aside():
                await inside.wait()

    requests = [asyncio.ensure_future(request(name)) for name in ("one", "two", "two")]
    for _ in range(3):
        await asyncio.sleep(0)
    assert admission.aside == 3
    inside.set()
    await asyncio.gather(*requests)
    for name in ("one", "two"):
        with admission.permit(1, name), admission.standing_aside():
            assert admission.aside == 1


def test_where_nobody_was_let_in_nobody_stands_aside() -> None:
    """As in a main that serves no HTTP."""
    admission = Admission(3)
    with admission.standing_aside():
        assert (admission.aside, admission.in_flight) == (0, 0)


def test_without_a_rule_the_limit_is_the_capacity_whatever_requests_wait() -> None:
    admission = Admission(64)
    for _ in range(50):
        admission.look(wait_s=5.0)
    assert admission.limit == 64


def test_pressure_is_the_share_of_the_places_that_was_taken_of_late() -> None:
    admission = Admission(10)
    with admission.permit(10):
        for _ in range(40):
            admission.look(0.0)
        assert admission.pressure == pytest.approx(1.0, abs=0.01)
    for _ in range(40):
        admission.look(0.0)
    assert admission.pressure == pytest.approx(0.0, abs=0.01)


def test_each_refusal_is_told_with_its_reason() -> None:
    told: list[Refusal] = []
    admission = Admission(10, refused=told.append)
    crowd = Crowd(admission, lasts=100)
    for _ in range(11):
        crowd.ask("flood")
    for _ in range(3):
        crowd.ask("little")  # the third of its share is beyond the capacity
    assert told == [Refusal.LIMIT] * 4


def test_room_that_is_kept_for_another_caller_is_refused_as_such() -> None:
    told: list[Refusal] = []
    admission = Admission(10, refused=told.append)
    little = [admission.permit(1, "little") for _ in range(3)]
    for permit in little:
        permit.__enter__()
    for permit in little:
        permit.__exit__(None, None, None)
    crowd = Crowd(admission, lasts=100)
    for _ in range(10):
        crowd.ask("flood")
    assert crowd.served["flood"] == 7
    assert told == [Refusal.SHARE] * 3
    for _ in range(3):
        crowd.ask("little")
    assert crowd.served["little"] == 3


def test_refused_callers_are_told_to_come_back_at_different_times() -> None:
    told = {Overloaded("no room").retry_after_s for _ in range(200)}
    assert told == set(range(1, RETRY_AFTER_MAX_S + 1))
