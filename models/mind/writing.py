"""Articles and impressions into `news.tsv` and `behaviors.tsv`, complete or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from service.errors import ConfigurationError, InvalidInput
from service.records import Article
from service.retrieval.indexes.readers import read_articles
from service.rows import BadRow
from service.signals.clicks import Impression

NEWS = "news.tsv"
LOG = "behaviors.tsv"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Everything that str.splitlines breaks at, not `\n` alone: other readers of the format do the same.
_BREAKS_A_ROW = re.compile("[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029\ud800-\udfff]+")


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
        # Aside in a folder, since the files belong together and are read back by their names.
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
    at_ms, history, shown = impression.at_ms, impression.history, impression.shown
    return (
        _id(impression.id, "impression"),
        _id(impression.user, "user"),
        *(() if at_ms is None else (_time(at_ms),)),
        " ".join(_id(article, "history") for article in history),
        " ".join(f"{_id(article, 'shown')}-{int(clicked)}" for article, clicked in shown),
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
