"""A simulated reading log: impressions of simulated users, with popularity that feeds on clicks.

Time runs on; users of a split come back now and then and are shown a dozen live articles: what is
popular at that moment, something of their interests, something at random. They click what fits
their interests, and what appeals to everybody. Every click makes an article more popular for a
while, so the popular get more popular, as in real logs. The result goes into MIND's format with
`models.mind.writing.write_mind`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.simulation.signal_texts import Mix
from models.simulation.users import SPLIT_SEEDS, SimulatedUser, simulate
from models.simulation.world import Split, World
from service.signals.clicks import Impression

_DAY_MS = 86_400_000
LIVE_DAYS = 60
"""Days that an article is shown for."""
_SHOWN = 12
_FROM_POPULAR, _FROM_INTERESTS = 6, 3
_HALF_LIFE_DAYS = 3.0
_LIKES, _SHRUGS = 0.45, 0.03
"""Chance of a click on an article of average appeal, of an interest of the user's and of none."""
_MOST = 0.95


def simulate_log(
    world: World, split: Split, mix: Mix, *, users: int, impressions: int, seed: int = 1
) -> Iterator[Impression]:
    """At most `impressions` rows in the order of time, of `users` users, over the split's span.

    Popularity of an article is its clicks so far, each halved every three days. A reader
    for whom fewer than twelve articles are live sees none. Raises `ConfigurationError` as
    `simulate` does.
    """
    rng = np.random.default_rng([seed, SPLIT_SEEDS[split], users, impressions])
    readers = list(simulate(world, split, mix, users, seed))
    start, end = world.span(split)
    times = world.times[:end]
    moments = np.sort(rng.integers(times[start], times[end - 1] + 1, impressions))
    popular = np.zeros(end)
    fresh_ms = int(moments[0])
    clicks: dict[str, list[str]] = {reader.id: [] for reader in readers}
    for number, moment in enumerate(moments):
        now_ms = int(moment)
        popular *= 0.5 ** ((now_ms - fresh_ms) / _DAY_MS / _HALF_LIFE_DAYS)
        fresh_ms = now_ms
        reader = readers[int(rng.integers(len(readers)))]
        live = np.flatnonzero((times <= now_ms) & (times > now_ms - LIVE_DAYS * _DAY_MS))
        history = [s.item for s in reader.signals if s.item and s.at_ms <= now_ms]
        history += clicks[reader.id]
        read = set(history)
        live = np.array([i for i in live if world.articles[i].id not in read], np.intp)
        if len(live) < _SHOWN:
            continue
        shown = _shown(world, reader, live, popular, rng)
        fits = np.isin(world.interest[shown], reader.interests)
        chance = np.minimum(np.where(fits, _LIKES, _SHRUGS) * world.appeal[shown] ** 0.5, _MOST)
        clicked = rng.random(len(shown)) < chance
        popular[shown[clicked]] += 1
        yield Impression(
            id=str(number + 1),
            user=reader.id,
            at_ms=now_ms // 1000 * 1000,
            history=tuple(history),
            shown=tuple(
                (world.articles[i].id, bool(c)) for i, c in zip(shown, clicked, strict=True)
            ),
        )
        clicks[reader.id] += [world.articles[i].id for i in shown[clicked]]


def _shown(
    world: World,
    reader: SimulatedUser,
    live: NDArray[np.intp],
    popular: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """A dozen live articles in random order: popular ones, some of the reader's, any."""
    jitter = rng.random(len(live)) * 0.5
    chosen = list(live[np.argsort(-(popular[live] + jitter))[:_FROM_POPULAR]])
    own = live[np.isin(world.interest[live], reader.interests) & ~np.isin(live, chosen)]
    if len(own):
        chosen += list(rng.choice(own, min(_FROM_INTERESTS, len(own)), replace=False))
    rest = live[~np.isin(live, chosen)]
    if (missing := _SHOWN - len(chosen)) > 0 and len(rest):
        chosen += list(rng.choice(rest, min(missing, len(rest)), replace=False))
    return rng.permutation(np.array(chosen, np.intp))
