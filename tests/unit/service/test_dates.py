"""Publication dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.dates import parse_time
from service.errors import InvalidInput


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2018-02-28", datetime(2018, 2, 28, tzinfo=UTC)),
        ("2018-02-28T10:30:00", datetime(2018, 2, 28, 10, 30, tzinfo=UTC)),
        ("2018-02-28T10:30:00+02:00", datetime(2018, 2, 28, 8, 30, tzinfo=UTC)),
        (" 26-FEB-1987 15:01:01.79", datetime(1987, 2, 26, 15, 1, 1, tzinfo=UTC)),
        ("6-mar-1987", datetime(1987, 3, 6, tzinfo=UTC)),
        (1_519_776_000_000, datetime(2018, 2, 28, tzinfo=UTC)),
        ("1901-01-01", datetime(1901, 1, 1, tzinfo=UTC)),
    ],
)
def test_dates_are_read_as_utc_unless_they_say_otherwise(value: object, at: datetime) -> None:
    assert parse_time(value, "published") == int(at.timestamp() * 1000)


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "2018-13-01", "31-FOO-1987", "99-JAN-1987", 1_519_776_000, 1e20, True, []],
)
def test_what_is_no_date_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        parse_time(value, "published")


@given(st.datetimes(timezones=st.just(UTC)))
def test_iso_dates_survive_to_the_millisecond(at: datetime) -> None:
    since_epoch = at - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_time(at.isoformat(), "published") == since_epoch // timedelta(milliseconds=1)
