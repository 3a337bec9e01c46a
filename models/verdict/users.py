"""What each user of an experiment did, day by day and before they entered it.

A user enters by the first answer under the experiment that no request or allowlist chose. What they
did from then on counts for the arm that the hash gave them, whatever served them: intent to treat.
It counts until the last answer under the experiment, also where the user was not enrolled any more.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLD_BELOW = 4
"""Signals of a user who is not cold."""
DONE = (
    "answers",
    "total_ms",
    "slow",
    "degraded",
    "empty",
    "covered",
    "coverage_known",
    "impressions",
    "clicks",
    "dwell_ms",
)
"""What is counted of a user's day: answers and their sums, articles shown and read."""
BEFORE = ("impressions_before", "clicks_before", "dwell_ms_before")
"""The same of all the time before a user entered."""
FIRST = ("first_impressions", "first_clicks", "later_impressions", "later_clicks")
"""Of a user's first day in the experiment, counted from their entry, and of all later ones."""

# Users: their arm and what they were when they entered. Those seen in two arms are left out.
_USERS = """
CREATE TABLE entered AS
    SELECT user_id, min(at_ms) AS entry_ms, min(arm) AS arm, count(DISTINCT arm) AS arms,
        arg_min(signals, at_ms) AS signals, arg_min(domain, at_ms) AS domain
    FROM exposures WHERE arm IS NOT NULL AND NOT forced GROUP BY user_id;
CREATE TABLE users AS
    SELECT *, row_number() OVER (ORDER BY entry_ms, user_id) - 1 AS number
    FROM entered WHERE arms = 1;
"""
_PERIOD = """
SELECT (SELECT min(entry_ms) FROM entered),
    (SELECT max(at_ms) FROM exposures WHERE arm IS NOT NULL AND NOT forced),
    (SELECT count(*) FROM entered WHERE arms > 1),
    (SELECT count(*) FROM exposures WHERE arm IS NOT NULL AND forced)
"""
# An article of an answer is shown or clicked once, however often that was told.
_READ = """
CREATE TABLE articles AS
    SELECT number, entry_ms, min(feedback.at_ms) AS at_ms,
        min(coalesce(exposed_ms, feedback.at_ms)) AS shown_ms,
        max((kind = 'impression')::INT) AS impressions, max((kind = 'click')::INT) AS clicks,
        sum(CASE WHEN kind = 'dwell' THEN dwell_ms ELSE 0 END) AS dwell_ms
    FROM feedback JOIN users USING (user_id) WHERE NOT forced
    GROUP BY number, entry_ms, request_id, article_id;
"""
_DAYS = """
SELECT number, day, sum(answers)::DOUBLE, sum(total_ms)::DOUBLE, sum(slow)::DOUBLE,
    sum(degraded)::DOUBLE, sum(empty)::DOUBLE, sum(covered)::DOUBLE, sum(coverage_known)::DOUBLE,
    sum(impressions)::DOUBLE, sum(clicks)::DOUBLE, sum(dwell_ms)::DOUBLE
FROM (
    SELECT number, (at_ms - $start) // $day AS day, 1 AS answers, coalesce(total_ms, 0) AS total_ms,
        coalesce(total_ms > $slow, false)::INT AS slow, degraded::INT AS degraded,
        empty::INT AS empty, coalesce(covered, 0) AS covered,
        (covered IS NOT NULL)::INT AS coverage_known, 0 AS impressions, 0 AS clicks, 0 AS dwell_ms
    FROM exposures JOIN users USING (user_id)
    WHERE at_ms >= entry_ms AND at_ms <= $end AND NOT forced
    UNION ALL
    SELECT number, (least(greatest(at_ms, entry_ms), $end) - $start) // $day, 0, 0, 0, 0, 0, 0, 0,
        impressions, clicks, dwell_ms
    FROM articles WHERE shown_ms >= entry_ms AND shown_ms <= $end
) GROUP BY number, day ORDER BY day, number
"""
_EACH = """
SELECT number, any_value(arm), any_value((users.entry_ms - $start) // $day),
    any_value(signals)::INT, any_value(domain),
    sum(CASE WHEN shown_ms < entry THEN impressions ELSE 0 END)::DOUBLE,
    sum(CASE WHEN shown_ms < entry THEN clicks ELSE 0 END)::DOUBLE,
    sum(CASE WHEN shown_ms < entry THEN dwell_ms ELSE 0 END)::DOUBLE,
    sum(CASE WHEN counts AND shown_ms < entry + $day THEN impressions ELSE 0 END)::DOUBLE,
    sum(CASE WHEN counts AND shown_ms < entry + $day THEN clicks ELSE 0 END)::DOUBLE,
    sum(CASE WHEN counts AND shown_ms >= entry + $day THEN impressions ELSE 0 END)::DOUBLE,
    sum(CASE WHEN counts AND shown_ms >= entry + $day THEN clicks ELSE 0 END)::DOUBLE
FROM users LEFT JOIN (
    SELECT *, entry_ms AS entry, shown_ms >= entry_ms AND shown_ms <= $end AS counts FROM articles
) AS read USING (number)
GROUP BY number ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class Users:
    """The users of an experiment, in the order of their entry; arrays have a row a user."""

    arms: tuple[str, ...]
    """Names, sorted; `arm` has their numbers."""
    arm: Ints
    entry_day: Ints
    signals: Ints
    domain: NDArray[np.object_]
    """The domain of most of a user's signals; empty where there are none."""
    before: Floats
    """(users, `BEFORE`)."""
    first: Floats
    """(users, `FIRST`)."""
    user: Ints
    """Of each active day of a user: the user's row. Days come in their order."""
    day: Ints
    done: Floats
    """(active days of users, `DONE`)."""
    start_ms: int
    end_ms: int
    """Of the last answer under the experiment."""
    day_ms: int
    in_two_arms: int
    """Users who were left out."""
    forced: int
    """Answers that were left out: the request or the allowlist chose their arm."""

    @property
    def days(self) -> int:
        """Days of the experiment, the first one and the last one included."""
        return (self.end_ms - self.start_ms) // self.day_ms + 1


def read_users(database: duckdb.DuckDBPyConnection, day_ms: int, slow_ms: float) -> Users:
    """Gather the users from the tables of `events.opened`.

    `slow_ms` is the bound over which an answer is slow. There may be no user at all.
    """
    database.execute(_USERS)
    row = database.execute(_PERIOD).fetchone()
    start, end, in_two_arms, forced = row if row is not None else (None, None, 0, 0)
    start, end = start or 0, end or 0
    database.execute(_READ)
    given = {"start": start, "end": end, "day": day_ms}
    each = _columns(database, _EACH, given)
    days = _columns(database, _DAYS, given | {"slow": slow_ms})
    arms, arm = np.unique(each[1].astype(str), return_inverse=True)
    return Users(
        arms=tuple(map(str, arms)),
        arm=arm.astype(np.int64),
        entry_day=each[2].astype(np.int64),
        signals=each[3].astype(np.int64),
        domain=np.where(each[3].astype(np.int64) > 0, each[4], ""),
        before=_matrix(each[5 : 5 + len(BEFORE)]),
        first=_matrix(each[5 + len(BEFORE) :]),
        user=days[0].astype(np.int64),
        day=days[1].astype(np.int64),
        done=_matrix(days[2:]),
        start_ms=start,
        end_ms=end,
        day_ms=day_ms,
        in_two_arms=in_two_arms,
        forced=forced,
    )


def _columns(
    database: duckdb.DuckDBPyConnection, statement: str, given: dict[str, float]
) -> list[NDArray[np.generic]]:
    """The columns of an answer, in their order."""
    return [
        np.ma.getdata(column) for column in database.execute(statement, given).fetchnumpy().values()
    ]


def _matrix(columns: list[NDArray[np.generic]]) -> Floats:
    return np.column_stack([column.astype(np.float64) for column in columns])
