"""What a student is evaluated on: articles, and users with their signals and what they clicked.

Built from simulated users here and from logs in MIND's format by `models.evaluation.log_sets`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field

from models.progress import Progress, untold
from models.simulation.overlap import overlap
from models.simulation.signal_texts import Mix
from models.simulation.users import simulate
from models.simulation.world import Split, World
from service.errors import InvalidInput
from service.records import Article, Signal

INDEXED = 4_000
"""Newest articles at the end of the split's time that simulated users' candidates come from."""


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
    popular: tuple[str, ...] | None = None
    """Live ids by clicks before this moment, most first; None: the index's own popularity holds."""
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
        return [one.person or one.id for one in self.users]


def simulated_set(
    world: World,
    split: Split,
    mix: Mix,
    users: int,
    seed: int = 1,
    progress: Progress = untold,
) -> EvaluationSet:
    """`users` simulated users of a split, over the newest articles at the end of its time.

    The index holds the last 4,000 articles up to the end of the split, more where the split itself
    is longer: articles from before and after each user's now, as an index of that time's end would.
    Freshness is reckoned from the newest of them. Raises `InvalidInput` for fewer than one user,
    and `ConfigurationError` where the articles carry no interest of this split.
    """
    if users < 1:
        raise InvalidInput("must be 1 or more", field="--users")
    start, end = world.span(split)
    first = max(0, min(start, end - INDEXED))
    articles = world.articles[first:end]
    made, simulated = [], []
    for one in simulate(world, split, mix, users, seed):
        simulated.append(one)
        made.append(
            EvaluationUser(
                id=one.id,
                signals=one.signals,
                relevant=frozenset(world.articles[i].id for i in one.clicks),
                exclude=frozenset(signal.item for signal in one.signals if signal.item),
                now_ms=one.now_ms,
                sources=one.sources,
            )
        )
        progress(1)
    return EvaluationSet(
        articles=articles,
        users=tuple(made),
        now_ms=articles[-1].published_ms,
        newest=tuple(one.id for one in reversed(articles)),
        simulated=True,
        about={
            "source": "simulated users",
            "split": split,
            "mix": mix.name,
            "users": users,
            "simulation_seed": seed,
            "articles": len(articles),
            "interests": len({interest for one in simulated for interest in one.interests}),
            **{name: round(value, 3) for name, value in asdict(overlap(world, simulated)).items()},
        },
    )
