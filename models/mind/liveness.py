"""Which articles of a log were live at a moment, by the best that is known of each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from math import isfinite

from service.errors import InvalidInput
from service.records import Article
from service.signals.clicks import Impression

_DAY_MS = 86_400_000
_ALWAYS_MS = -(2**62)
_FOREVER_MS = 2**62


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
        published = {article.id: article.published_ms for article in articles}
        first = _first_shown(impressions)
        dated = sorted((at_ms, id_) for id_, at_ms in published.items() if at_ms)
        undated = sorted(
            (first[id_], id_) for id_, at_ms in published.items() if not at_ms and id_ in first
        )
        self._spans = {id_: (at_ms, at_ms + self._age_ms) for at_ms, id_ in dated}
        self._spans |= {id_: (at_ms, _FOREVER_MS) for at_ms, id_ in undated}
        self._dates, self._dated = [at for at, _ in dated], tuple(id_ for _, id_ in dated)
        self._firsts, self._undated = [at for at, _ in undated], tuple(id_ for _, id_ in undated)

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
