"""Publication dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.dates import EARLIEST_MS, LATEST_MS, iso, iso_ms, parse_time
from service.errors import InvalidInput


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2018-02-28", datetime(2018, 2, 28, tzinfo=UTC)),
        ("2018-02-28T10:30:00", datetime(2018, 2, 28, 10, 30, tzinfo=UTC)),
        ("2018-02-28T10:30:00+02:00", datetime(2018, 2, 28, 8, 30, tzinfo=UTC)),
        (" 26-FEB-1987 15:01:01.79", datetime(1987, 2, 26, 15, 1, 1, tzinfo=UTC)),
        ("6-mar-1987", datetime(1987, 3, 6, tzinfo=UTC)),
        ("Wed, 28 Feb 2018 10:30:00 GMT", datetime(2018, 2, 28, 10, 30, tzinfo=UTC)),
        ("28 Feb 2018 10:30 +0200", datetime(2018, 2, 28, 8, 30, tzinfo=UTC)),
        ("Wed, 28 Feb 18 10:30:00 EST", datetime(2018, 2, 28, 15, 30, tzinfo=UTC)),
        (1_519_776_000_000, datetime(2018, 2, 28, tzinfo=UTC)),
        ("1901-01-01", datetime(1901, 1, 1, tzinfo=UTC)),
    ],
)
def test_dates_are_read_as_utc_unless_they_say_otherwise(value: object, at: datetime) -> None:
    assert parse_time(value, "published") == int(at.timestamp() * 1000)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2018-13-01",
        "31-FOO-1987",
        "Wed, 30 Feb 2018 10:30:00 GMT",
        "Wed, 28 Feb 2018 10:30:00",
        "Wed, 28 Feb 2018 10:30:00 CEST",
        "Wed, 28 Fob 2018 10:30:00 GMT",
        "Wed, 28 Feb 2018 25:30:00 GMT",
        "Wed, 28 Feb 2018 10:30:00 +9999",
        "99-JAN-1987",
        1_519_776_000,
        1e20,
        True,
        [],
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        -62_135_596_800_001,
        253_402_300_800_000,
        float("nan"),
        float("inf"),
    ],
)
def test_what_is_no_date_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        parse_time(value, "published")


@given(st.datetimes(timezones=st.just(UTC)))
def test_iso_dates_survive_to_the_millisecond(at: datetime) -> None:
    since_epoch = at - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_time(at.isoformat(), "published") == since_epoch // timedelta(milliseconds=1)


@given(st.integers(EARLIEST_MS, LATEST_MS))
def test_every_time_that_is_read_can_be_shown(at_ms: int) -> None:
    shown = iso(at_ms)
    assert shown is not None
    assert parse_time(shown, "published") == at_ms // 1000 * 1000


@pytest.mark.parametrize("at_ms", [EARLIEST_MS - 1, LATEST_MS + 1, -(2**63), 2**63])
def test_a_time_that_no_calendar_has_is_shown_as_none(at_ms: int) -> None:
    assert iso(at_ms) is None


def test_milliseconds_are_shown_where_they_are_asked_for() -> None:
    assert iso_ms(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"
    assert iso_ms(-1) == "1969-12-31T23:59:59.999Z"
    assert iso_ms(LATEST_MS + 1) is None
