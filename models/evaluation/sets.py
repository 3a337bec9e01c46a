"""What a student is evaluated on: articles, and users with their signals and what they clicked.

Built from simulated users by `models.evaluation.simulated_sets` and from logs in MIND's format by
`models.evaluation.log_sets`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from service.records import Article, Signal


@dataclass(frozen=True, slots=True)
class PrintedAfter:
    """The ids of the articles that were printed after a moment: an index can search these alone."""

    at_ms: int
    ids: frozenset[str]

    def __contains__(self, id_: object) -> bool:
        return id_ in self.ids


@dataclass(frozen=True, slots=True)
class EvaluationUser:
    """One user at one moment. Signals are oldest first and from before it."""

    id: str
    signals: tuple[Signal, ...]
    relevant: frozenset[str]
    """Ids of the articles clicked later (or, in a log, in this impression); at least one."""
    exclude: frozenset[str]
    """Ids that are no candidates: what was clicked before."""
    now_ms: int
    """The moment itself: baselines know the articles from before it."""
    live: Container[str] | None = None
    """Ids that could be shown then; None: all."""
    shown: tuple[tuple[str, bool], ...] = ()
    """The articles of a log's impression, each with whether it was clicked; of known ones only."""
    popular: Mapping[str, float] | None = None
    """Clicks before this moment on live articles, by id, most first; None: the articles' own
    popularity holds."""
    sources: tuple[int | None, ...] = ()
    """Of a simulated user: the interest behind each signal; None: noise."""
    person: str = ""
    """Who it is, where several of these are one person's; empty: nobody else is `id`."""


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Articles that are indexed, and users to find them for."""

    articles: tuple[Article, ...]
    users: tuple[EvaluationUser, ...]
    now_ms: int | None
    """The moment that freshness is reckoned from; None: each user's own."""
    newest: tuple[str, ...]
    """Ids of the articles, newest first."""
    simulated: bool
    about: Mapping[str, object] = field(default_factory=dict)
    """Where it comes from, and what was left out of it, for the report."""

    @property
    def persons(self) -> list[str]:
        """Who each user is: intervals resample these."""
        return [user.person or user.id for user in self.users]
