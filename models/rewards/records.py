"""What rewards are reckoned from: a user with what a good list would find, and what one found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.evaluation.sets import EvaluationUser
from service.records import Query

SEEN = 20
"""Places of a page that relevance and coverage look at."""
ALONE = 10
"""Articles that a query by itself finds, as far as two queries are compared."""


@dataclass(frozen=True, slots=True)
class Target:
    """A user whose lists are rewarded, and what it would be good to find for them."""

    user: EvaluationUser
    """`sources` holds the place of the interest behind each signal, from 0; None is noise."""
    grades: Mapping[str, int]
    """Articles above grade 0, by id: 2 squarely of an interest, 1 related."""
    interest: Mapping[str, int]
    """The interest that an article serves, by id; any number that tells interests apart."""
    own: frozenset[str]
    """What the user's own signals find in the first `SEEN` places."""

    @property
    def interests(self) -> int:
        """How many interests the signals show."""
        return len({source for source in self.user.sources if source is not None})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one answer: what was read from it, and what the index had for it."""

    text: str
    finished: bool
    """Whether the answer ended by itself."""
    queries: tuple[Query, ...]
    found: tuple[tuple[str, ...], ...]
    """What each query finds by itself, its first `ALONE` articles."""
    drop: tuple[float, ...]
    """How much nearer to each query its first article is than those far down, 0 to 1."""
    ranked: tuple[str, ...]
    """All queries merged, the first `SEEN` places."""
    nearest: tuple[tuple[int, float], ...] = ()
    """The place of the signal that is nearest in meaning to each query, and their cosine. Empty
    without an encoder."""
