"""What a student has to beat: lists of queries that need no model, each out of a user's signals.

`baseline_lists` makes those of every user of a set.

All are searched in the same index and merged by the same fusion as a student's list; no encoder
makes them, and they know nothing from after the user's now. Popularity and recency, which are no
queries, rank articles directly: `models.evaluation.bench`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from models.evaluation.sets import EvaluationSet
from service.defaults import MAX_QUERIES, OWN_SIGNALS
from service.generation.heuristic import heuristic_queries
from service.generation.ladder import HEARD
from service.generation.own import own_queries
from service.records import Article, Query, Signal
from service.words.text import STOP_WORDS, stem_all, words

DIRECT = ("popularity", "recency")
"""Those that rank articles without a query."""
LISTS_OF_EIGHT = ("tf-idf", "heuristic")
"""Those whose lists are as long as a student's may be."""
BASELINES = (*DIRECT, "own signals", "all signals", "clicked titles", *LISTS_OF_EIGHT)

_Key = tuple[str, ...]


def baseline_lists(data: EvaluationSet) -> dict[str, dict[str, tuple[Query, ...]]]:
    """The queries of every baseline that has some, by its name and the user's id."""
    made: dict[str, dict[str, tuple[Query, ...]]] = {
        name: {} for name in BASELINES if name not in DIRECT
    }
    counts = PhraseCounts()
    waiting = sorted(data.articles, key=lambda article: -article.published_ms)
    for user in sorted(data.users, key=lambda user: user.now_ms):
        counts.add(_until(waiting, user.now_ms))
        signals = user.signals
        made["own signals"][user.id] = own_signals(signals)
        made["all signals"][user.id] = all_in_one(signals)
        made["clicked titles"][user.id] = clicked_titles(signals)
        made["tf-idf"][user.id] = tfidf_phrases(signals, counts)
        made["heuristic"][user.id] = heuristic(signals)
    return made


def _until(waiting: list[Article], now_ms: int) -> list[Article]:
    """Take the articles from before a moment off the end of `waiting` (newest first)."""
    taken = []
    while waiting and waiting[-1].published_ms <= now_ms:
        taken.append(waiting.pop())
    return taken


def own_signals(signals: Sequence[Signal], most: int = OWN_SIGNALS) -> tuple[Query, ...]:
    """Each of the newest signals a query. `signals` are oldest first, here and below."""
    return own_queries(signals, most, 1.0)


def clicked_titles(signals: Sequence[Signal]) -> tuple[Query, ...]:
    """Each of the newest clicked headlines a query: what news clicks alone can do."""
    return own_queries([signal for signal in signals if signal.domain == "news"], OWN_SIGNALS, 1.0)


def all_in_one(signals: Sequence[Signal]) -> tuple[Query, ...]:
    """All signals as one query, the newest first, whatever its length."""
    said = [signal.text for signal in reversed(signals) if any(c.isalpha() for c in signal.text)]
    return (Query(" ".join(" ".join(said).split()), origin="signal"),) if said else ()


def heuristic(signals: Sequence[Signal]) -> tuple[Query, ...]:
    """The service's own list without a model, weighted as it is served."""
    return heuristic_queries(signals[-HEARD:], MAX_QUERIES)


class PhraseCounts:
    """In how many articles each word and each pair of neighbouring words stands, by their stems.

    Articles come one after the other, so that one count serves users at rising moments.
    """

    def __init__(self) -> None:
        self.articles = 0
        self._holders: Counter[_Key] = Counter()

    def add(self, articles: Iterable[Article]) -> None:
        """Count articles by title and abstract."""
        for article in articles:
            self.articles += 1
            texts = (article.title, article.abstract)
            found = {key for text in texts for key, _ in _phrases(text)}
            self._holders.update(found)

    def idf(self, key: _Key) -> float:
        """ln((1 + n) / (1 + articles that hold it)) + 1: smoothed, above 0 for every phrase."""
        return math.log((1 + self.articles) / (1 + self._holders[key])) + 1


def tfidf_phrases(
    signals: Sequence[Signal], counts: PhraseCounts, limit: int = MAX_QUERIES
) -> tuple[Query, ...]:
    """The `limit` best words and word pairs of the signals, no two of which share a stem.

    A phrase scores its occurrences in all signals times its inverse document frequency (Salton &
    Buckley, Information Processing & Management, 1988). Pairs are neighbours with no stop word or
    number between. Ties go to the phrase said last. Spelling is that of the newest occurrence.
    """
    said: Counter[_Key] = Counter()
    spelled: dict[_Key, str] = {}
    newest: dict[_Key, int] = {}
    holders: dict[_Key, list[str]] = {}
    for place, signal in enumerate(signals):
        for key, text in _phrases(signal.text):
            said[key] += 1
            spelled[key], newest[key] = text, place
            held = holders.setdefault(key, [])
            if signal.id not in held:
                held.append(signal.id)
    ranked = sorted(said, key=lambda key: (-said[key] * counts.idf(key), -newest[key], key))
    used: set[str] = set()
    chosen: list[Query] = []
    for key in ranked:
        if len(chosen) == limit:
            break
        if used.isdisjoint(key):
            used.update(key)
            chosen.append(Query(spelled[key], origin="heuristic", signals=tuple(holders[key])))
    return tuple(chosen)


def _phrases(text: str) -> Iterator[tuple[_Key, str]]:
    """Words and pairs of neighbouring words that carry meaning, by their stems, as written."""
    before: tuple[str, str] | None = None
    written = words(text)
    for word, stem in zip(written, stem_all(written), strict=True):
        if word.lower() in STOP_WORDS or not any(c.isalpha() for c in word):
            before = None
            continue
        yield (stem,), word
        if before is not None and before[0] != stem:
            yield (before[0], stem), f"{before[1]} {word}"
        before = (stem, word)
