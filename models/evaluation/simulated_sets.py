"""Evaluation sets out of simulated users (`models.simulation`)."""

from __future__ import annotations

from dataclasses import asdict

from models.evaluation.sets import EvaluationSet, EvaluationUser
from models.progress import Progress, untold
from models.simulation.overlap import overlap
from models.simulation.signal_texts import Mix
from models.simulation.users import SimulatedUser, simulate
from models.simulation.world import Split, World
from service.errors import InvalidInput

INDEXED = 4_000
"""Newest articles at the end of the split's time that simulated users' candidates come from."""


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
    simulated = []
    for user in simulate(world, split, mix, users, seed):
        simulated.append(user)
        progress(1)
    return EvaluationSet(
        articles=articles,
        users=tuple(_evaluation_user(world, user) for user in simulated),
        now_ms=articles[-1].published_ms,
        newest=tuple(article.id for article in reversed(articles)),
        simulated=True,
        about={
            "source": "simulated users",
            "split": split,
            "mix": mix.name,
            "users": users,
            "simulation_seed": seed,
            "articles": len(articles),
            "interests": len({interest for user in simulated for interest in user.interests}),
            **{name: round(value, 3) for name, value in asdict(overlap(world, simulated)).items()},
        },
    )


def _evaluation_user(world: World, user: SimulatedUser) -> EvaluationUser:
    return EvaluationUser(
        id=user.id,
        signals=user.signals,
        relevant=frozenset(world.articles[i].id for i in user.clicks),
        exclude=frozenset(signal.item for signal in user.signals if signal.item),
        now_ms=user.now_ms,
        sources=user.sources,
    )
