"""The many ways in which a person is seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from models.people.records import Thread
from models.people.views import Seen, Ways, as_written, thread_views, views
from tests.unit.models.builders import DAY_MS, NOW_MS
from tests.unit.models.people.builders import articles, person, trace

ADA = person(
    "ada",
    trace("loaf tin", 1, days=-3, domain="purchase"),
    trace("crossing a fjord", 0, days=-2),
    trace("post office hours", days=-2),
    trace("", 0, article="ferry-2", days=-1.5),
    trace("rye flour", 1, days=-1),
    queries=("battery ferry", "sourdough bread"),
)
BO = person("bo", trace("elo of carlsen", 0), trace("tax form"), queries=("chess champion",))
PEOPLE = (ADA, BO)
seeds = st.integers(0, 2**32)


def seen(count: int, seed: int, **ways: float) -> list[Seen]:
    return list(views(PEOPLE, articles(), count, seed, replace(Ways(), **ways)))


@given(seeds)
def test_every_signal_of_an_interest_stems_from_one_that_is_asked_for(seed: int) -> None:
    texts = {
        interest: {
            articles()[t.article].title if t.article else t.text
            for t in one.traces
            if t.interest == place
        }
        for one in PEOPLE
        for place, interest in enumerate(one.interests)
    }
    for view in seen(6, seed):
        assert view.signals
        assert len(view.signals) == len(view.sources)
        assert {source for source in view.sources if source is not None} == set(
            range(len(view.interests))
        )
        for signal, source in zip(view.signals, view.sources, strict=True):
            if source is not None:
                assert signal.text in texts[view.interests[source]]


@given(seeds)
def test_signals_come_oldest_first_with_ids_of_their_own(seed: int) -> None:
    for view in seen(4, seed):
        times = [signal.at_ms for signal in view.signals]
        assert times == sorted(times)
        assert len({signal.id for signal in view.signals}) == len(view.signals)
    assert len({view.id for view in seen(8, seed)}) == 8


def test_everybody_is_seen_in_turn_and_never_twice_alike() -> None:
    found = seen(40, 1)
    assert sum(view.id.startswith("ada") for view in found) == 20
    assert len({tuple(signal.text for signal in view.signals) for view in found}) > 20
    assert found == seen(40, 1)
    assert found != seen(40, 2)


def test_the_interest_with_most_signals_comes_first() -> None:
    for view in seen(60, 3):
        counts = [view.sources.count(place) for place in range(len(view.interests))]
        assert counts == sorted(counts, reverse=True)


def test_others_interests_are_joined_as_often_as_asked_for() -> None:
    def joined(view: Seen) -> bool:
        return len({interest.name.split()[-1] for interest in view.interests}) > 1

    assert not any(map(joined, seen(60, 4, join=0)))
    assert sum(map(joined, seen(60, 4, join=1))) > 10


def test_noise_stays_below_its_roof() -> None:
    for view in seen(60, 5, most_noise=0, shorten=0):
        assert None not in view.sources
    shares = [view.sources.count(None) / len(view.sources) for view in seen(60, 5, shorten=0)]
    assert max(shares) > 0.2
    assert max(shares) <= 0.6


def test_a_joined_interest_is_as_fresh_as_it_was_to_its_own_person() -> None:
    later = replace(BO, now_ms=NOW_MS + 400 * DAY_MS)
    moved = [replace(one, at_ms=one.at_ms + 400 * DAY_MS) for one in BO.traces]
    later = replace(later, traces=tuple(moved))
    for view in views((ADA, later), articles(), 40, 6, Ways(join=1)):
        now_ms = NOW_MS if view.id.startswith("ada") else later.now_ms
        ages = [now_ms - signal.at_ms for signal in view.signals]
        assert all(0 < age <= 3 * DAY_MS for age in ages)


def test_as_written_is_everything_that_a_person_left() -> None:
    whole = as_written(ADA, articles())
    assert [signal.text for signal in whole.signals][:3] == [
        "loaf tin",
        "crossing a fjord",
        "post office hours",
    ]
    assert whole.signals[3].text == "Battery ferry crosses the fjord ferryharbour"
    assert [interest.query for interest in whole.interests] == ["sourdough bread", "battery ferry"]
    assert whole.sources == (0, 1, None, 1, 0)


def test_of_nobody_there_are_no_views() -> None:
    assert list(views((), articles(), 5, 1)) == []


THREADS = [
    Thread(f"query {n}", tuple(("search", f"text {n} {m}") for m in range(5)), n) for n in range(6)
]
NOISE = [one for person_ in PEOPLE for one in person_.traces if one.interest is None]


@given(seeds)
def test_out_of_threads_people_are_put_together_with_errands(seed: int) -> None:
    for view in thread_views(THREADS, NOISE, 8, seed):
        assert len(view.interests) <= 5
        times = [signal.at_ms for signal in view.signals]
        assert times == sorted(times)
        for signal, source in zip(view.signals, view.sources, strict=True):
            if source is None:
                assert signal.text in {one.text for one in NOISE}
            else:
                number = view.interests[source].query.split()[1]
                assert signal.text.startswith(f"text {number} ")


def test_every_thread_is_seen_in_turn() -> None:
    seen_ = Counter(
        interest.query
        for view in thread_views(THREADS, NOISE, 60, 1, Ways(shorten=0))
        for interest in view.interests
    )
    assert set(seen_) == {thread.query for thread in THREADS}
    assert max(seen_.values()) - min(seen_.values()) <= 8


def test_without_threads_nobody_is_put_together() -> None:
    assert list(thread_views([], NOISE, 5, 1)) == []
