"""Evaluation sets out of reading logs in the formats of MIND and EB-NeRD (`models.mind`)."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random

from models.evaluation.sets import EvaluationSet, EvaluationUser
from models.mind.liveness import Liveness
from models.mind.reading import Histories, read_histories, read_impressions
from models.progress import Progress, untold
from service.errors import InvalidInput
from service.parquet import is_parquet
from service.records import Article, Signal
from service.retrieval.indexes.readers import read_articles
from service.rows import BadRow, BadRows
from service.signals.clicks import Impression

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
    history: str | None = None,
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

    `history` is the file of what was read before, of logs in Parquet, which are without it. The
    file of impressions is read twice, so it cannot be standard input. `progress` is called with
    the number of rows just read. Raises `InvalidInput`: a file cannot be read, more than
    `max_errors` bad rows (files and line named), nothing to measure.
    """
    if "-" in (news, behaviors):
        raise InvalidInput("must be a file: logs are read twice", field="--news, --behaviors")
    if max_impressions is not None and max_impressions < 1:
        raise InvalidInput("must be 1 or more", field="--max-impressions")
    if history is not None and not is_parquet(behaviors):
        raise InvalidInput(
            "is for logs in Parquet; MIND's behaviors.tsv says in each row what was read before",
            field="--history",
        )
    bad = BadRows(max_errors)
    histories = None if history is None else read_histories(history, bad)
    log = _first_reading(news, behaviors, bad, max_age_days, progress)
    counts = LogCounts(bad_rows=bad.count)
    # The bad rows of a second reading have been counted by the first.
    again = _impressions(behaviors, BadRows(2**62), progress, histories)
    chosen = _sample(again, log, counts, max_impressions, seed)
    if not chosen:
        raise InvalidInput(
            f"none of {counts.impressions:,} impressions has a click on an article of {news} that "
            "was live and not read before; are the two files of the same log?",
            field="--behaviors",
        )
    users = [_user(number, impression, log, counts) for number, impression in enumerate(chosen, 1)]
    popularity = _popularity(log)
    if popularity == "clicks before":
        users = _with_popular(users, sorted(log.clicks))
    return EvaluationSet(
        articles=tuple(log.articles.values()),
        users=tuple(users),
        now_ms=None,
        newest=tuple(reversed(log.liveness.live_at(None))),
        simulated=False,
        about={
            "source": "reading log",
            "articles": len(log.articles),
            "measured": len(users),
            "persons": len({user.person for user in users}),
            "popularity": popularity,
            "max_age_days": max_age_days,
            "sample_seed": seed,
            **asdict(counts),
        },
    )


@dataclass(frozen=True, slots=True)
class _Log:
    """What has to be known of a whole log before one of its impressions can be used."""

    articles: Mapping[str, Article]
    liveness: Liveness
    clicks: Sequence[tuple[int, str]]
    """When known articles were clicked, as far as impressions have a time."""


def _first_reading(
    news: str, behaviors: str, bad: BadRows, max_age_days: float | None, progress: Progress
) -> _Log:
    articles = {article.id: article for article in bad.sift(read_articles(news))}
    if not articles:
        raise InvalidInput(f"{news} holds no article", field="--news")
    clicks: list[tuple[int, str]] = []

    def noted() -> Iterator[Impression]:
        for impression in _impressions(behaviors, bad, progress):
            at_ms = impression.at_ms
            if at_ms is not None:
                shown = impression.shown
                clicks.extend((at_ms, id_) for id_, hit in shown if hit and id_ in articles)
            yield impression

    liveness = Liveness(articles.values(), noted(), max_age_days=max_age_days)
    return _Log(articles, liveness, clicks)


def _impressions(
    behaviors: str, bad: BadRows, progress: Progress, histories: Histories | None = None
) -> Iterator[Impression]:
    """The impressions of a file, with their users' histories; bad rows go to `bad`."""

    def told() -> Iterator[Impression | BadRow]:
        for row in read_impressions(behaviors, histories):
            progress(1)
            yield row

    return bad.sift(told())


def _sample(
    impressions: Iterable[Impression],
    log: _Log,
    counts: LogCounts,
    most: int | None,
    seed: int,
) -> list[Impression]:
    """The impressions to measure, in the log's order: all, or a reservoir sample of them."""
    random = Random(seed)
    kept: list[tuple[int, Impression]] = []
    usable = 0
    for impression in impressions:
        counts.impressions += 1
        if not _relevant(impression, log, counts):
            counts.without_clicks += 1
            continue
        if most is None or len(kept) < most:
            kept.append((usable, impression))
        elif (place := random.randrange(usable + 1)) < most:  # Vitter's algorithm R
            kept[place] = (usable, impression)
        usable += 1
    return [impression for _, impression in sorted(kept, key=lambda placed: placed[0])]


def _relevant(impression: Impression, log: _Log, counts: LogCounts) -> frozenset[str]:
    """Ids of the clicked articles that can be found; `counts` says what became of the others."""
    found = set()
    history = set(impression.history)
    for id_ in [id_ for id_, hit in impression.shown if hit]:
        counts.clicks += 1
        if id_ not in log.articles:
            counts.clicks_unknown += 1
        elif id_ in history:
            counts.clicks_read_before += 1
        elif not log.liveness.is_live(id_, impression.at_ms):
            counts.clicks_not_live += 1
        else:
            found.add(id_)
    return frozenset(found)


def _popularity(log: _Log) -> str:
    """What the popularity of articles is taken from, in the words of the report."""
    if any(article.popularity > 0 for article in log.articles.values()):
        return "articles' own"
    return "clicks before" if log.clicks else "none"


class _Live:
    """The articles live at a moment, as a container that lists nothing."""

    def __init__(self, liveness: Liveness, at_ms: int | None) -> None:
        self._liveness, self._at_ms = liveness, at_ms

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and self._liveness.is_live(id_, self._at_ms)


def _user(number: int, impression: Impression, log: _Log, counts: LogCounts) -> EvaluationUser:
    now_ms = _UNTIMED_MS if impression.at_ms is None else impression.at_ms
    history = impression.history
    signals = []
    read = zip(history, impression.read_ms(now_ms), strict=True)
    for place, (id_, at_ms) in enumerate(read):
        if id_ not in log.articles:
            counts.history_unknown += 1
            continue
        article = log.articles[id_]
        signals.append(
            Signal(at_ms, "news", article.title, f"news:{id_}:{place}", id_, article.category)
        )
    counts.without_history += not signals
    return EvaluationUser(
        # Numbered, since nothing says that a log names its impressions apart.
        id=f"{impression.user}/{impression.id}/{number}",
        signals=tuple(signals),
        relevant=_relevant(impression, log, LogCounts()),
        exclude=frozenset(history),
        now_ms=now_ms,
        live=_Live(log.liveness, impression.at_ms),
        shown=tuple((id_, hit) for id_, hit in impression.shown if id_ in log.articles),
        person=impression.user,
    )


def _with_popular(
    users: Sequence[EvaluationUser], clicks: Sequence[tuple[int, str]]
) -> list[EvaluationUser]:
    """The users with what was popular at their moment: clicks are counted strictly before it."""
    counted: Counter[str] = Counter()
    popular: dict[str, dict[str, float]] = {}
    place = 0
    for user in sorted(users, key=lambda user: user.now_ms):
        while place < len(clicks) and clicks[place][0] < user.now_ms:
            counted[clicks[place][1]] += 1
            place += 1
        live = user.live if user.live is not None else counted
        fit = (id_ for id_ in counted if id_ in live)
        best = heapq.nlargest(_POPULAR, fit, key=lambda id_: (counted[id_], id_))
        popular[user.id] = {id_: float(counted[id_]) for id_ in best}
    return [replace(user, popular=popular[user.id]) for user in users]
