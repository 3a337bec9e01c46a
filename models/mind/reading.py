"""Logs in the format of MIND: reading them, what was live when, and writing them.

MIND is the Microsoft News Dataset (Wu et al., ACL 2020; the format:
https://github.com/msnews/msnews.github.io/blob/master/assets/doc/introduction.md). A folder holds
`news.tsv`, one article a row, and `behaviors.tsv`, one impression a row. Articles are read by
`service.retrieval.indexes.readers.read_articles`, which takes `news.tsv` and JSON lines.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

from service.errors import ConfigurationError, InvalidInput
from service.records import Article
from service.retrieval.indexes.readers import read_articles
from service.rows import BadRow, broken_byte, name_of, read_lines
from service.signals.clicks import BadColumn, Impression, parse_impression

__all__ = ["LOG", "NEWS", "Impression", "Liveness", "read_impressions", "write_mind"]

NEWS = "news.tsv"
LOG = "behaviors.tsv"

_DAY_MS = 86_400_000
_ALWAYS_MS = -(2**62)
_FOREVER_MS = 2**62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Everything that str.splitlines breaks at, not `\n` alone: other readers of the format do the same.
_BREAKS_A_ROW = re.compile("[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029\ud800-\udfff]+")


# --- reading ---------------------------------------------------------------------------------


def read_impressions(source: str) -> Iterator[Impression | BadRow]:
    """Every row of a log as an impression, or as what is wrong with it.

    `source` is a path, plain or gzipped, or `-` for standard input. A row has five columns
    (impression, user, time, history, shown), or four where the log has no times; then `at_ms` is
    None. Times are taken as UTC. Nothing clicked, nothing shown and no history are all fine; blank
    lines are passed over. Raises `InvalidInput` for a file that cannot be read.
    """
    name = name_of(source)
    for line, row in read_lines(source):
        if (byte := broken_byte(row)) is not None:
            yield BadRow(name, line, "", f"byte {byte} is not UTF-8")
            continue
        try:
            yield _whole(parse_impression(row))
        except BadColumn as error:
            yield BadRow(name, line, error.column, str(error))


def _whole(impression: Impression) -> Impression:
    for column, value in (("impression", impression.id), ("user", impression.user)):
        if not value.strip():
            raise BadColumn(column, "must be a text that is not empty")
    if not all(article for article, _ in impression.shown):
        raise BadColumn("shown", "an article's id is missing before -0 or -1")
    return impression


# --- what was live ---------------------------------------------------------------------------


class Liveness:
    """Which of some articles are live at a moment: published, and not too old to be shown.

    Each article by the best that is known of it:

    - With a publication date: from that date on, for `max_age_days` (default: without end).
    - Without a date, in a log with times: from its first appearance among the shown articles on.
    - Without a date and in impressions without times only: always.

    An article that has no date and was never shown is never live, and neither is a shown one that
    is not among `articles`. `published_ms` of 0 means no date, as it does everywhere.
    """

    def __init__(
        self,
        articles: Iterable[Article],
        impressions: Iterable[Impression],
        *,
        max_age_days: float | None = None,
    ) -> None:
        """Reads both once. Raises `InvalidInput` for an age that is not above 0."""
        if max_age_days is not None and not (isfinite(max_age_days) and max_age_days > 0):
            raise InvalidInput("must be a number of days above 0", field="max_age_days")
        self._age_ms = _FOREVER_MS if max_age_days is None else int(max_age_days * _DAY_MS)
        published = {one.id: one.published_ms for one in articles}
        first = _first_shown(impressions)
        dated = sorted((at_ms, one) for one, at_ms in published.items() if at_ms)
        undated = sorted(
            (first[one], one) for one, at_ms in published.items() if not at_ms and one in first
        )
        self._spans = {one: (at_ms, at_ms + self._age_ms) for at_ms, one in dated}
        self._spans |= {one: (at_ms, _FOREVER_MS) for at_ms, one in undated}
        self._dates, self._dated = [at for at, _ in dated], tuple(one for _, one in dated)
        self._firsts, self._undated = [at for at, _ in undated], tuple(one for _, one in undated)

    def live_at(self, at_ms: int | None) -> tuple[str, ...]:
        """Ids live at a moment, in milliseconds since 1970: the dated ones, then the others, each
        part in the order in which they became live. None, an impression's unknown time, gives all
        that are live at any time. Costs two bisections and a copy of the answer.
        """
        if at_ms is None:
            return self._dated + self._undated
        oldest = bisect_left(self._dates, at_ms - self._age_ms)
        newest = bisect_right(self._dates, at_ms)
        return self._dated[oldest:newest] + self._undated[: bisect_right(self._firsts, at_ms)]

    def is_live(self, article_id: str, at_ms: int | None) -> bool:
        """Whether `live_at(at_ms)` holds this article, without listing the others."""
        span = self._spans.get(article_id)
        return span is not None and (at_ms is None or span[0] <= at_ms <= span[1])


def _first_shown(impressions: Iterable[Impression]) -> dict[str, int]:
    """When each article was shown first. A time that is known goes before one that is not."""
    first: dict[str, int] = {}
    untimed: dict[str, int] = {}
    for impression in impressions:
        at_ms = impression.at_ms
        for article, _ in impression.shown:
            if at_ms is None:
                untimed[article] = _ALWAYS_MS
            elif at_ms < first.get(article, _FOREVER_MS):
                first[article] = at_ms
    return untimed | first


# --- writing ---------------------------------------------------------------------------------


def write_mind(
    folder: Path,
    articles: Iterable[Article],
    impressions: Iterable[Impression],
    *,
    replace: bool = False,
) -> None:
    """Write `news.tsv` and `behaviors.tsv` into a folder, which is made where there is none.

    The format has no place for an article's body, date and popularity; its entities are records of
    Wikidata, not names, and stay empty. Times are kept to the second, and tabs and line breaks in
    texts become a space. Both files are written aside and renamed when they are complete, so bad
    input leaves the folder as it was. Killed while it replaces, it leaves no `behaviors.tsv`, never
    one beside the articles of another log.

    Raises `InvalidInput` where the folder holds either file and `replace` is False, and for what
    could not be read back: ids that are empty or hold white space or control characters, articles
    without a title, times outside of the years 1 to 9999. Raises `ConfigurationError` where the
    folder cannot be written.
    """
    held = [name for name in (NEWS, LOG) if (folder / name).exists()]
    if held and not replace:
        raise InvalidInput(
            f"{folder} holds {' and '.join(held)} already: name another folder, or replace them",
            field="folder",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".mind-", dir=folder) as made:
            aside = Path(made)
            _write_rows(aside / NEWS, map(_article_row, articles))
            _write_rows(aside / LOG, map(_impression_row, impressions))
            _refuse_unreadable(aside / NEWS)
            (folder / LOG).unlink(missing_ok=True)
            (aside / NEWS).replace(folder / NEWS)
            (aside / LOG).replace(folder / LOG)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written: {error.strerror}") from error


def _write_rows(file: Path, rows: Iterable[tuple[str, ...]]) -> None:
    with file.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines("\t".join(row) + "\n" for row in rows)


def _refuse_unreadable(news: Path) -> None:
    """What the reader demands of an article is said there and not again here."""
    for row in read_articles(str(news)):
        if isinstance(row, BadRow):
            raise InvalidInput(f"article {row.line}: {row.field} {row.why}", field=row.field)


def _article_row(article: Article) -> tuple[str, ...]:
    texts = (article.category, "", article.title, article.abstract)
    return _id(article.id, "id"), *(_BREAKS_A_ROW.sub(" ", text) for text in texts), "", "[]", "[]"


def _impression_row(impression: Impression) -> tuple[str, ...]:
    one = impression
    return (
        _id(one.id, "impression"),
        _id(one.user, "user"),
        *(() if one.at_ms is None else (_time(one.at_ms),)),
        " ".join(_id(article, "history") for article in one.history),
        " ".join(f"{_id(article, 'shown')}-{int(clicked)}" for article, clicked in one.shown),
    )


def _id(value: str, field: str) -> str:
    # Of all white space, only the plain space is printable.
    if not value or " " in value or not value.isprintable():
        raise InvalidInput(
            f"{value[:40]!r} cannot stand in a log: an id has no white space or control characters",
            field=field,
        )
    return value


def _time(at_ms: int) -> str:
    """`11/15/2019 9:05:58 AM`, month first, in UTC; the inverse of what the reader does."""
    try:
        at = _EPOCH + timedelta(milliseconds=at_ms)
    except OverflowError:
        raise InvalidInput(f"{at_ms} ms is no time of the years 1 to 9999", field="time") from None
    half = "AM" if at.hour < 12 else "PM"
    return f"{at.month}/{at.day}/{at.year:04} {at.hour % 12 or 12}:{at:%M:%S} {half}"
