"""How many words simulated signals share with what is clicked later: how easy a mix is. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.simulation.users import SimulatedUser
from models.simulation.world import World
from service.words.text import stems


@dataclass(frozen=True, slots=True)
class Overlap:
    """Means over users, of signals that stem from an interest unless it says otherwise."""

    signals: float
    """Signals of a user, noise included."""
    noise: float
    """Share of them that is noise."""
    clicks: float
    """Articles clicked later."""
    sharing_one: float
    """Share of signals with a stem of a clicked article."""
    sharing_two: float
    """Share of signals that have two stems or more in common with some one clicked article."""
    sharing_two_but_news: float
    """The same of searches, visits, purchases and videos alone."""


def overlap(world: World, users: Iterable[SimulatedUser]) -> Overlap:
    """Measure these users, one at least; a share of nothing is 0."""
    count = signals = noise = clicks = sharing = twice = other = other_twice = interested = 0
    for user in users:
        count += 1
        signals += len(user.signals)
        clicks += len(user.clicks)
        later = [
            stems(f"{world.articles[i].title} {world.articles[i].abstract}") for i in user.clicks
        ]
        for signal, source in zip(user.signals, user.sources, strict=True):
            if source is None:
                noise += 1
                continue
            interested += 1
            said = stems(signal.text)
            most = max((len(said & words) for words in later), default=0)
            sharing += most >= 1
            twice += most >= 2
            if signal.domain != "news":
                other += 1
                other_twice += most >= 2
    return Overlap(
        signals=signals / count,
        noise=noise / signals,
        clicks=clicks / count,
        sharing_one=sharing / max(interested, 1),
        sharing_two=twice / max(interested, 1),
        sharing_two_but_news=other_twice / max(other, 1),
    )
