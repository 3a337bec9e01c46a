"""Times as people and files write them, in milliseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from service.errors import InvalidInput

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
EARLIEST_MS = -62_135_596_800_000
"""The beginning of the year 1."""
LATEST_MS = 253_402_300_799_999
"""The end of the year 9999."""
CLOCK_SKEW_MS = 5 * 60_000
"""How far ahead of our clock a signal or an article may be: other machines' clocks differ a little.
What lies further ahead is from the future."""
_SECONDS_BELOW = 100_000_000_000
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ARCHIVE = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})(?:\s+(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?)?")
_RSS = re.compile(
    r"(?:[A-Za-z]{3}, ?)?\d{1,2} [A-Za-z]{3} \d{2,4} \d{1,2}:\d{2}(?::\d{2})?"
    r" (?:[+-]\d{4}|GMT|UTC?|Z|[ECMP][SD]T)",
    re.A,
)
"""RFC 822's dates, as RSS has them. Of zones with a name those that it defines, but for the letters
of the military, whose signs it had wrong."""


def parse_time(value: object, field: str) -> int:
    """Milliseconds since 1970 from ISO 8601 (date, or date and time), RFC 822, or from themselves.

    A time without a zone is UTC; fractions of a millisecond are cut. The `26-FEB-1987 15:01:01` of
    newswire archives is read as well, whatever follows it. Numbers that would be a day of the early
    1970s are refused: those are seconds. So is what is not of the years 1 to 9999. Raises
    `InvalidInput` with `field`.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not EARLIEST_MS <= value <= LATEST_MS:
            raise InvalidInput("is not a time in milliseconds since 1970", field=field)
        if 0 < value < _SECONDS_BELOW:
            raise InvalidInput("looks like seconds: give milliseconds or ISO 8601", field=field)
        return int(value)
    if not isinstance(value, str):
        raise InvalidInput("must be ISO 8601 or milliseconds since 1970", field=field)
    text = value.strip()
    try:
        at = _archive(text) or _rss(text) or datetime.fromisoformat(text)
        since_ms = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MS
        if not EARLIEST_MS <= since_ms <= LATEST_MS:  # of such a year, but in another zone
            raise ValueError("is not of the years 1 to 9999")
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{text[:40]!r} is not ISO 8601 (2026-05-31 or 2026-05-31T08:00:00Z)"
            " or RFC 822 (Sun, 31 May 2026 08:00:00 GMT)",
            field=field,
        ) from error
    return since_ms


def iso(at_ms: int) -> str | None:
    """Milliseconds since 1970 as ISO 8601 in UTC; None beyond the years 1 to 9999."""
    if not EARLIEST_MS <= at_ms <= LATEST_MS:
        return None
    at = _EPOCH + timedelta(seconds=at_ms // 1000)
    return at.isoformat().replace("+00:00", "Z")


def iso_ms(at_ms: int) -> str | None:
    """As `iso`, with the milliseconds."""
    seconds = iso(at_ms)
    return seconds and f"{seconds.removesuffix('Z')}.{at_ms % 1000:03d}Z"


def _rss(text: str) -> datetime | None:
    return parsedate_to_datetime(text) if _RSS.fullmatch(text) else None


def _archive(text: str) -> datetime | None:
    match = _ARCHIVE.match(text)
    if match is None or match[2].lower() not in _MONTHS:
        return None
    day, month, year, *clock = match.groups()
    hour, minute, second = (int(part or 0) for part in clock)
    return datetime(
        int(year), _MONTHS.index(month.lower()) + 1, int(day), hour, minute, second, tzinfo=UTC
    )
