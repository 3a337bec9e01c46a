"""Simulated cross-domain users over real articles. `docs/simulator.md` states what they are not.

A user has one to four interests whose pull rises, falls or stays. Thirty days of searches, page
visits, purchases, videos and news clicks come from these interests, a share of them from nowhere
(noise). After `now` the user clicks articles of the same interests, the more appealing the
likelier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.simulation.signal_texts import DAYS, Mix, Teller
from models.simulation.world import Split, World
from service.errors import ConfigurationError
from service.records import DOMAINS, Domain, Signal
from service.words.text import stems

_DAY_MS = 86_400_000
_PAST_DAYS = 400
_LEAST_PAST, _LEAST_FUTURE = 3, 3
_LEAST_SHARE = 1e-3
"""What a domain of no share counts as, since a Dirichlet distribution takes no zeros."""
_SENTENCE_CASE = 0.5
"""Of users, the share whose headlines are in sentence case, where these papers use title case."""
_COLD_SIGNALS = (1, 3)
_TREND = 2.0


@dataclass(frozen=True, slots=True)
class SimulatedUser:
    """A user at `now_ms`: signals oldest first, the interest behind each (None: noise), and what
    is clicked later, as positions in the world's articles.
    """

    id: str
    now_ms: int
    signals: tuple[Signal, ...]
    sources: tuple[int | None, ...]
    interests: tuple[int, ...]
    clicks: tuple[int, ...]


def simulate(
    world: World, split: Split, mix: Mix, count: int, seed: int = 1
) -> Iterator[SimulatedUser]:
    """`count` users of a split, one after the other; the same for the same arguments.

    Users of "valid" and "test" stand at the moment when their split's span of time begins; those of
    "train" and "tune" at any moment of theirs, and what they know and click ends with it. Raises
    `ConfigurationError` when no interest of the split has a past and a future.
    """
    for number in range(count):
        rng = np.random.default_rng([seed, SPLIT_SEEDS[split], number, mix.stream])
        yield _user(world, split, mix, f"{split}-{mix.name}-{number:05d}", rng)


SPLIT_SEEDS: dict[Split, int] = {"train": 1, "valid": 2, "test": 3, "tune": 4}


def _user(
    world: World, split: Split, mix: Mix, name: str, rng: np.random.Generator
) -> SimulatedUser:
    start, end = world.span(split)
    allowed = world.interests_of(split)
    for _ in range(100):
        now = start
        if split in ("train", "tune"):
            now = int(rng.integers(start + (end - start) // 20, end - (end - start) // 10))
        now_ms = int(world.times[now])
        live = _with_past_and_future(world, allowed, now_ms, end)
        if live:
            break
    else:
        raise ConfigurationError(
            f"no interest of the {split} users has {_LEAST_PAST} earlier and {_LEAST_FUTURE} later "
            "articles: give more articles, or articles over a longer time"
        )
    many = min(len(live), int(rng.choice([1, 2, 3, 4], p=[0.2, 0.35, 0.3, 0.15])))
    interests = [live[i] for i in rng.choice(len(live), many, replace=False)]
    pull = rng.dirichlet(np.full(many, 1.5)) * 0.8 + 0.2 / many
    trend = rng.uniform(-1, 1, many)
    clicks = _clicks(world, interests, pull * np.exp(_TREND * trend / 2), now_ms, end, rng)
    if rng.random() < mix.cold:
        amount = int(rng.integers(_COLD_SIGNALS[0], _COLD_SIGNALS[1] + 1))
    else:
        amount = int(np.clip(rng.lognormal(2.6, 0.5), 4, 48))
    domains = rng.dirichlet(np.maximum(np.array(mix.domains) * 8, _LEAST_SHARE))
    later = [
        stems(f"{one.title} {one.abstract}") for one in map(world.articles.__getitem__, clicks)
    ]
    at = np.sort(rng.integers(now_ms - DAYS * _DAY_MS, now_ms, amount))
    plain = bool(rng.random() < _SENTENCE_CASE)
    teller = Teller(world, mix, world.wording_of(split), plain, later, rng)
    signals: list[Signal] = []
    sources: list[int | None] = []
    seen: set[str] = set()
    for moment in at:
        # The drift: a rising interest is weak at the start of the month and strong at its end.
        share = (int(moment) - now_ms) / (DAYS * _DAY_MS) + 0.5
        weights = pull * np.exp(_TREND * trend * share)
        domain: Domain = DOMAINS[int(rng.choice(5, p=domains))]
        source: int | None = None
        if rng.random() >= mix.noise:
            source = interests[int(rng.choice(many, p=weights / weights.sum()))]
        made = teller.tell(source, domain, int(moment))
        if made is None or made[0].casefold() in seen:
            continue
        seen.add(made[0].casefold())
        number = len(signals)
        signals.append(Signal(int(moment), domain, made[0], f"{name}/{number}", item=made[1]))
        sources.append(source)
    if not signals:
        # Nothing that may be said: the newest headline of the first interest.
        own = np.flatnonzero((world.interest == interests[0]) & (world.times <= now_ms))
        article = world.articles[int(own[-1])]
        signals = [Signal(now_ms - 1, "news", article.title, f"{name}/0", item=article.id)]
        sources = [interests[0]]
    return SimulatedUser(
        name, now_ms, tuple(signals), tuple(sources), tuple(interests), tuple(clicks)
    )


def _with_past_and_future(
    world: World, allowed: NDArray[np.intp], now_ms: int, end: int
) -> list[int]:
    times, interest = world.times[:end], world.interest[:end]
    known = (times <= now_ms) & (times > now_ms - _PAST_DAYS * _DAY_MS)
    some = interest >= 0
    past = np.bincount(interest[some & known], minlength=len(world.centres))
    future = np.bincount(interest[some & (times > now_ms)], minlength=len(world.centres))
    good = (past >= _LEAST_PAST) & (future >= _LEAST_FUTURE)
    return [int(k) for k in allowed if good[k]]


def _clicks(
    world: World,
    interests: list[int],
    pull: NDArray[np.float64],
    now_ms: int,
    end: int,
    rng: np.random.Generator,
) -> list[int]:
    """Later articles of the interests, four to twelve, now and then one that is just liked."""
    wanted = int(rng.integers(4, 13))
    weights = np.zeros(end)
    later = world.times[:end] > now_ms
    for interest, strength in zip(interests, pull, strict=True):
        own = np.flatnonzero(later & (world.interest[:end] == interest))
        appeal = np.sqrt(world.appeal[own])
        weights[own] = strength * appeal / appeal.sum()
    chance = np.where(later, world.appeal[:end], 0.0)
    weights = 0.92 * weights / weights.sum() + 0.08 * chance / chance.sum()
    amount = min(wanted, int((weights > 0).sum()))
    return [int(i) for i in rng.choice(end, amount, replace=False, p=weights)]
