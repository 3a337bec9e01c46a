"""Evaluation sets out of reading logs in MIND's format (`models.mind`)."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random

from models.evaluation.sets import EvaluationSet, EvaluationUser
from models.mind.liveness import Liveness
from models.mind.reading import read_impressions
from models.progress import Progress, untold
from service.errors import InvalidInput
from service.records import Article, Signal
from service.retrieval.indexes.readers import read_articles
from service.rows import BadRows
from service.signals.clicks import Impression

_STEP_MS = 3_600_000
"""Logs don't say when a history was read: one article an hour, up to the impression."""
_POPULAR = 1_000
_UNTIMED_MS = 2**53
"""The moment of an impression without a time: after everything that has one."""


@dataclass(slots=True)
class LogCounts:
    """What a log held and what could not be used of it."""

    impressions: int = 0
    bad_rows: int = 0
    clicks: int = 0
    clicks_unknown: int = 0
    """On articles that the file of articles does not hold."""
    clicks_not_live: int = 0
    clicks_read_before: int = 0
    """On articles of the same user's history, which are no candidates."""
    without_clicks: int = 0
    """Impressions without a click that can be found: nothing is measured on them."""
    without_history: int = 0
    """Of those measured, impressions of users of whom nothing known was read before."""
    history_unknown: int = 0
    """Articles of a history, of those measured, that the file of articles does not hold."""


def log_set(
    news: str,
    behaviors: str,
    *,
    max_impressions: int | None = None,
    max_errors: int = 0,
    max_age_days: float | None = None,
    seed: int = 1,
    progress: Progress = untold,
) -> EvaluationSet:
    """The impressions of a log that have a click, a sample of `max_impressions` where given.

    Signals are the news clicks of the history, relevant are the clicked articles among those
    shown, candidates are the articles live at the impression. Where no article has a popularity
    of its own and the log has times, popular is what was clicked most in the log before the
    impression; where it has neither, the newest articles count as popular.

    The file of impressions is read twice, so it cannot be standard input. `progress` is called
    with the number of rows just read. Raises `InvalidInput`: a file cannot be read, more than
    `max_errors` bad rows (files and line named), nothing to measure.
    """
    if "-" in (news, behaviors):
        raise InvalidInput("must be a file: logs are read twice", field="--news, --behaviors")
    if max_impressions is not None and max_impressions < 1:
        raise InvalidInput("must be 1 or more", field="--max-impressions")
    bad = BadRows(max_errors)
    articles = _articles(news, bad)
    rows = _rows(behaviors, bad, progress)
    clicks: list[tuple[int, str]] = []
    liveness = Liveness(
        articles.values(), _noting(rows, articles, clicks), max_age_days=max_age_days
    )
    counts = LogCounts(bad_rows=bad.count)
    chosen = _sample(behaviors, articles, liveness, counts, max_impressions, seed, progress)
    if not chosen:
        raise InvalidInput(
            f"none of {counts.impressions:,} impressions has a click on an article of {news} that "
            "was live and not read before; are the two files of the same log?",
            field="--behaviors",
        )
    users = [
        _user(number, impression, articles, liveness, counts)
        for number, impression in enumerate(chosen, 1)
    ]
    known = any(one.popularity > 0 for one in articles.values())
    if not known and clicks:
        users = _with_popular(users, sorted(clicks))
    source = "articles' own" if known else "clicks before" if clicks else "none"
    return EvaluationSet(
        articles=tuple(articles.values()),
        users=tuple(users),
        now_ms=None,
        newest=tuple(reversed(liveness.live_at(None))),
        simulated=False,
        about={
            "source": "reading log",
            "articles": len(articles),
            "measured": len(users),
            "persons": len({one.person for one in users}),
            "popularity": source,
            "max_age_days": max_age_days,
            "sample_seed": seed,
            **asdict(counts),
        },
    )


def _articles(news: str, bad: BadRows) -> dict[str, Article]:
    found = {article.id: article for article in bad.sift(read_articles(news))}
    if not found:
        raise InvalidInput(f"{news} holds no article", field="--news")
    return found


def _rows(behaviors: str, bad: BadRows, progress: Progress) -> Iterator[Impression]:
    """The impressions of a file; bad rows go to `bad`."""
    for row in read_impressions(behaviors):
        progress(1)
        yield from bad.sift([row])


def _noting(
    rows: Iterator[Impression], articles: dict[str, Article], clicks: list[tuple[int, str]]
) -> Iterator[Impression]:
    """Pass impressions on, and note when known articles were clicked."""
    for row in rows:
        if row.at_ms is not None:
            clicks += [(row.at_ms, one) for one, hit in row.shown if hit and one in articles]
        yield row


def _sample(
    behaviors: str,
    articles: dict[str, Article],
    liveness: Liveness,
    counts: LogCounts,
    most: int | None,
    seed: int,
    progress: Progress,
) -> list[Impression]:
    """The impressions to measure, in the log's order: all, or a reservoir sample of them."""
    random = Random(seed)
    kept: list[tuple[int, Impression]] = []
    usable = 0
    for impression in _rows(behaviors, BadRows(2**62), progress):
        counts.impressions += 1
        if not _relevant(impression, articles, liveness, counts):
            counts.without_clicks += 1
            continue
        if most is None or len(kept) < most:
            kept.append((usable, impression))
        elif (place := random.randrange(usable + 1)) < most:  # Vitter's algorithm R
            kept[place] = (usable, impression)
        usable += 1
    return [impression for _, impression in sorted(kept, key=lambda one: one[0])]


def _relevant(
    impression: Impression, articles: dict[str, Article], liveness: Liveness, counts: LogCounts
) -> frozenset[str]:
    found = set()
    history = set(impression.history)
    for one in [one for one, hit in impression.shown if hit]:
        counts.clicks += 1
        if one not in articles:
            counts.clicks_unknown += 1
        elif one in history:
            counts.clicks_read_before += 1
        elif not liveness.is_live(one, impression.at_ms):
            counts.clicks_not_live += 1
        else:
            found.add(one)
    return frozenset(found)


class _Live:
    """The articles live at a moment, as a container that lists nothing."""

    def __init__(self, liveness: Liveness, at_ms: int | None) -> None:
        self._liveness, self._at_ms = liveness, at_ms

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and self._liveness.is_live(id_, self._at_ms)


def _user(
    number: int,
    impression: Impression,
    articles: dict[str, Article],
    liveness: Liveness,
    counts: LogCounts,
) -> EvaluationUser:
    now_ms = _UNTIMED_MS if impression.at_ms is None else impression.at_ms
    history = impression.history
    signals = []
    for place, one in enumerate(history):
        if one not in articles:
            counts.history_unknown += 1
            continue
        at_ms = now_ms - (len(history) - place) * _STEP_MS
        article = articles[one]
        signals.append(
            Signal(at_ms, "news", article.title, f"news:{one}:{place}", one, article.category)
        )
    counts.without_history += not signals
    return EvaluationUser(
        # Numbered, since nothing says that a log names its impressions apart.
        id=f"{impression.user}/{impression.id}/{number}",
        signals=tuple(signals),
        relevant=_relevant(impression, articles, liveness, LogCounts()),
        exclude=frozenset(history),
        now_ms=now_ms,
        live=_Live(liveness, impression.at_ms),
        shown=tuple((one, hit) for one, hit in impression.shown if one in articles),
        person=impression.user,
    )


def _with_popular(
    users: Sequence[EvaluationUser], clicks: Sequence[tuple[int, str]]
) -> list[EvaluationUser]:
    """The users with what was popular at their moment: clicks are counted strictly before it."""
    counted: Counter[str] = Counter()
    popular: dict[str, tuple[str, ...]] = {}
    place = 0
    for user in sorted(users, key=lambda one: one.now_ms):
        while place < len(clicks) and clicks[place][0] < user.now_ms:
            counted[clicks[place][1]] += 1
            place += 1
        live = user.live if user.live is not None else counted
        fit = (one for one in counted.items() if one[0] in live)
        best = heapq.nlargest(_POPULAR, fit, key=lambda one: (one[1], one[0]))
        popular[user.id] = tuple(id_ for id_, _ in best)
    return [replace(user, popular=popular[user.id]) for user in users]
