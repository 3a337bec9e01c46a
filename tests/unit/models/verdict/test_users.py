"""Intent to treat: who counts, for which arm, and from when to when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.verdict.users import BEFORE, DONE, FIRST, Users
from tests.parts.events import DAY_MS, START_MS, Row, exposure, feedback, placed, write_segment
from tests.unit.models.verdict.builders import HOUR_MS, KEY, read


def users_of(tmp_path: Path, *rows: Row) -> Users:
    """Read what exposures and feedback say, which may come in any order."""
    exposures = [row for row in rows if "sequence" in row]
    write_segment(tmp_path, exposures, [row for row in rows if "kind" in row])
    return read(tmp_path)


def answer(user: str, hour: float, arm: str | None = "control", **more: Any) -> Row:
    """An answer to a user some hours after the start; `arm` None: outside of the experiment."""
    reason = more.pop("reason", None)
    placements = [placed("another", "its-arm"), *([placed(KEY, arm, reason)] if arm else [])]
    at_ms = START_MS + int(hour * HOUR_MS)
    return exposure(f"{user}-{hour}", user, at_ms, *placements, **more)


def done(users: Users, name: str) -> list[float]:
    """A user's sum over all days, in the order of entry."""
    total = [0.0] * len(users.arm)
    for user, row in zip(users.user, users.done, strict=True):
        total[user] += row[DONE.index(name)]
    return total


def test_a_user_counts_for_the_arm_that_was_assigned_whatever_served_them(tmp_path: Path) -> None:
    served = answer("maya", 0, "small", reason="generation_timeout")
    served["placements"][1]["served"] = "queries:heuristic"
    users = users_of(tmp_path, served, answer("lee", 1))
    assert [users.arms[number] for number in users.arm] == ["small", "control"]


def test_answers_whose_arm_a_request_or_the_allowlist_chose_are_left_out(tmp_path: Path) -> None:
    forced = answer("maya", 0, "small", reason="override")
    later = answer("maya", 1)
    told = [feedback(one, "click", "a") for one in (forced, later)]
    listed = answer("tester", 0, "small", reason="allowlist")
    users = users_of(tmp_path, forced, later, listed, *told)
    assert users.arms == ("control",)
    assert users.forced == 2
    assert done(users, "answers") == [1]
    assert done(users, "clicks") == [1]


def test_users_seen_in_two_arms_are_counted_and_left_out(tmp_path: Path) -> None:
    users = users_of(tmp_path, answer("maya", 0), answer("maya", 1, "small"), answer("lee", 2))
    assert users.in_two_arms == 1
    assert done(users, "answers") == [1]


def test_what_came_before_the_entry_is_history_and_not_outcome(tmp_path: Path) -> None:
    early, entry = answer("maya", 0, None), answer("maya", 5)
    told = [
        feedback(early, "impression", "a"),
        feedback(early, "click", "a"),
        feedback(early, "dwell", "a", dwell_ms=900),
        feedback(entry, "impression", "b"),
    ]
    users = users_of(tmp_path, early, entry, *told)
    assert dict(zip(BEFORE, users.before[0], strict=True)) == {
        "impressions_before": 1,
        "clicks_before": 1,
        "dwell_ms_before": 900,
    }
    assert done(users, "answers") == [1]
    assert done(users, "impressions") == [1]
    assert done(users, "clicks") == [0]


def test_a_click_after_the_entry_on_an_answer_before_it_is_history(tmp_path: Path) -> None:
    early, entry = answer("maya", 0, None), answer("maya", 0.0001)
    users = users_of(tmp_path, early, entry, feedback(early, "click", "a"))
    assert done(users, "clicks") == [0]
    assert users.before[0, BEFORE.index("clicks_before")] == 1


def test_users_who_leave_count_until_the_experiment_ends_and_not_longer(tmp_path: Path) -> None:
    left, after = answer("maya", 2, None), answer("maya", 9, None)
    rows = [answer("maya", 0), left, answer("lee", 5), after]
    users = users_of(tmp_path, *rows, feedback(left, "click", "a"), feedback(after, "click", "a"))
    assert done(users, "answers") == [2, 1]
    assert done(users, "clicks") == [1, 0]


def test_an_article_is_shown_and_clicked_once_however_often_that_is_told(tmp_path: Path) -> None:
    entry = answer("maya", 0)
    told = [
        feedback(entry, kind, "a", event_id=f"{kind}-{number}")
        for kind in ("impression", "click")
        for number in range(3)
    ]
    read_twice = [
        feedback(entry, "dwell", "a", dwell_ms=ms, event_id=str(ms)) for ms in (1000, 500)
    ]
    users = users_of(tmp_path, entry, *told, *read_twice)
    assert done(users, "impressions") == done(users, "clicks") == [1]
    assert done(users, "dwell_ms") == [1500]


def test_feedback_that_found_no_exposure_counts_by_its_own_time(tmp_path: Path) -> None:
    entry, last = answer("maya", 1), answer("lee", 9)
    lost = {"joined": False, "exposed_at": None, "placements": None, "student": None}
    counts = feedback(entry, "click", "a", **lost)
    too_early = feedback(answer("maya", 0), "click", "a", **lost)
    assert done(users_of(tmp_path, entry, last, counts, too_early), "clicks") == [1, 0]


def test_answers_say_how_well_the_service_did(tmp_path: Path) -> None:
    timings = dict.fromkeys(("signals", "generate", "retrieve", "fuse"), 1.0)
    users = users_of(
        tmp_path,
        answer("maya", 0, timings_ms=timings | {"total": 700.0}, degraded=["retrieval_partial"]),
        answer("maya", 1, candidates=0, coverage_queries=0.25),
        answer("maya", 2, coverage_queries=None),
    )
    row = {name: done(users, name)[0] for name in DONE}
    assert row == {
        "answers": 3,
        "total_ms": 780,
        "slow": 1,
        "degraded": 1,
        "empty": 1,
        "covered": 1.25,
        "coverage_known": 2,
        "impressions": 0,
        "clicks": 0,
        "dwell_ms": 0,
    }


def test_days_begin_with_the_experiment_and_may_be_short(tmp_path: Path) -> None:
    entry = answer("maya", 10)
    rows = [entry, answer("maya", 33), answer("lee", 34), feedback(entry, "click", "a")]
    users = users_of(tmp_path, *rows)
    assert users.days == 2
    assert list(users.entry_day) == [0, 1]
    assert list(users.day) == [0, 1], "a click on the day of its answer, which are one row"
    assert read(tmp_path, day_ms=HOUR_MS).days == 25


def test_the_first_day_of_a_user_is_told_from_the_later_ones(tmp_path: Path) -> None:
    first, later = answer("maya", 0), answer("maya", 24)
    told = [feedback(first, "impression", "a"), feedback(first, "click", "a")]
    users = users_of(tmp_path, first, later, *told, feedback(later, "impression", "b"))
    assert dict(zip(FIRST, users.first[0], strict=True)) == {
        "first_impressions": 1,
        "first_clicks": 1,
        "later_impressions": 1,
        "later_clicks": 0,
    }


def test_signals_are_those_of_the_entry(tmp_path: Path) -> None:
    none = dict.fromkeys(("search", "browse", "purchase", "video", "news"), 0)
    users = users_of(
        tmp_path,
        answer("maya", 0, signals=none | {"video": 2, "news": 1}),
        answer("maya", 1, signals=none | {"search": 30}),
        answer("new", 2, signals=none),
    )
    assert list(users.signals) == [3, 0]
    assert list(users.domain) == ["video", ""]


def test_no_user_is_left_where_all_were_seen_in_two_arms(tmp_path: Path) -> None:
    users = users_of(tmp_path, answer("maya", 0), answer("maya", 1, "small"))
    assert users.arms == ()
    assert users.in_two_arms == 1
    assert users.end_ms - users.start_ms < DAY_MS
