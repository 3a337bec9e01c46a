from __future__ import annotations

import time
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.events.feedback import Feedback, FeedbackKind, Taken, checked
from service.events.streams import DAY_S
from service.identity import Identity, RequestName

NOW_S = 1_764_000_000
NOW_MS = NOW_S * 1000
MINUTE_MS = 60_000
CLICK = Feedback("e1", "r1", "maya", "click", "a-1", NOW_MS)


def faults(event: Feedback, request_s: int = NOW_S - 60, days: int = 7) -> list[tuple[str, str]]:
    name = RequestName(request_s, 1, 2)
    _, refused = checked([(0, event)], lambda request, user: name, NOW_MS, days)
    return [(one.field, one.reason) for one in refused]


def test_a_click_on_an_answer_of_ours_is_taken_and_on_no_other() -> None:
    identity = Identity(b"secret")
    mine = replace(CLICK, request_id=identity.request_id("maya"), at_ms=int(time.time() * 1000))
    forged = replace(mine, request_id=Identity(b"other").request_id("maya"))
    of_another = replace(mine, user_id="jonas")
    taken, refused = checked(
        enumerate([mine, forged, of_another]), identity.verified, mine.at_ms, 7
    )
    assert [one.event for one in taken] == [mine]
    assert [(one.index, one.field) for one in refused] == [(1, "request_id"), (2, "request_id")]


@pytest.mark.parametrize(
    ("event", "request_s", "field", "told"),
    [
        (CLICK, NOW_S - 7 * DAY_S - 1, "request_id", "older than the 7 days"),
        (replace(CLICK, at_ms=NOW_MS + 6 * MINUTE_MS), NOW_S, "at", "ahead"),
        (replace(CLICK, at_ms=NOW_MS - 7 * MINUTE_MS), NOW_S - 60, "at", "before the request"),
        (replace(CLICK, kind="dwell"), NOW_S, "dwell_ms", "missing"),
        (replace(CLICK, dwell_ms=5), NOW_S, "dwell_ms", "of a dwell alone"),
    ],
)
def test_what_cannot_be_true_is_refused_by_field(
    event: Feedback, request_s: int, field: str, told: str
) -> None:
    [(found, reason)] = faults(event, request_s)
    assert found == field
    assert told in reason


@pytest.mark.parametrize(
    ("event", "request_s"),
    [
        (replace(CLICK, at_ms=NOW_MS + 4 * MINUTE_MS), NOW_S),
        (replace(CLICK, at_ms=NOW_MS - 4 * MINUTE_MS), NOW_S),
        (CLICK, NOW_S - 7 * DAY_S + 1),
        (replace(CLICK, kind="dwell", dwell_ms=0), NOW_S),
    ],
)
def test_clocks_may_differ_a_little_and_feedback_may_come_late(
    event: Feedback, request_s: int
) -> None:
    assert faults(event, request_s) == []


@given(st.lists(st.booleans(), max_size=30))
def test_each_event_is_taken_or_refused_and_in_its_place(good: list[bool]) -> None:
    events = [replace(CLICK, event_id=str(number)) for number in range(len(good))]
    name = RequestName(NOW_S, 1, 2)
    answers = iter(good)
    taken, refused = checked(
        enumerate(events), lambda *_: name if next(answers) else None, NOW_MS, 7
    )
    assert [one.event for one in taken] == [e for e, ok in zip(events, good, strict=True) if ok]
    assert [one.index for one in refused] == [n for n, ok in enumerate(good) if not ok]
    assert [one.index for one in taken] == [n for n, ok in enumerate(good) if ok]


def test_the_digest_is_of_the_request_and_the_event_id() -> None:
    one = Taken(CLICK, RequestName(NOW_S, 1, 2))
    assert one.digest() == replace(one, event=replace(CLICK, at_ms=1, article_id="b")).digest()
    assert one.digest() != replace(one, event=replace(CLICK, event_id="e2")).digest()
    assert one.digest() != replace(one, request=RequestName(NOW_S, 1, 3)).digest()
    assert len(one.digest()) == 10


def test_an_event_becomes_an_object_of_the_stream() -> None:
    assert orjson.loads(Taken(CLICK, RequestName(1, 2, 3)).data()) == {
        "v": 1,
        "id": "r1",
        "event": "e1",
        "user": "maya",
        "kind": "click",
        "article": "a-1",
        "at": NOW_MS,
        "dwell_ms": None,
    }


@given(
    request_age_s=st.integers(-60, 9 * DAY_S),
    after_ms=st.integers(-20 * MINUTE_MS, 8 * DAY_S * 1000),
    kind=st.sampled_from(["impression", "click", "dwell"]),
    dwell_ms=st.none() | st.integers(0, 10_000),
    days=st.integers(1, 7),
)
def test_an_event_is_taken_exactly_where_nothing_speaks_against_it(
    request_age_s: int, after_ms: int, kind: FeedbackKind, dwell_ms: int | None, days: int
) -> None:
    request_s = NOW_S - request_age_s
    at_ms = request_s * 1000 + after_ms
    event = replace(CLICK, kind=kind, dwell_ms=dwell_ms, at_ms=at_ms)
    fine = (
        request_age_s <= days * DAY_S
        and after_ms >= -5 * MINUTE_MS
        and at_ms <= NOW_MS + 5 * MINUTE_MS
        and (kind == "dwell") == (dwell_ms is not None)
    )
    assert (faults(event, request_s, days) == []) is fine
