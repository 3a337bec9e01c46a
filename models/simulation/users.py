"""Simulated cross-domain users over real articles. `docs/simulator.md` states what they are not.

A user has one to four interests whose pull rises, falls or stays. Thirty days of searches, page
visits, purchases, videos and news clicks come from these interests, a share of them from nowhere
(noise). After `now` the user clicks articles of the same interests, the more appealing the
likelier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
_STANDPOINTS = 100
"""Moments that are tried for a user whose split lets it stand at any."""


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


@dataclass(frozen=True, slots=True)
class _Interests:
    """What a user is interested in: numbers of the world's interests, how strongly each pulls, and
    its trend from -1 to 1: above 0 it rises.
    """

    numbers: tuple[int, ...]
    pull: NDArray[np.float64]
    trend: NDArray[np.float64]

    def weights(self, moment: float) -> NDArray[np.float64]:
        """How strongly each pulls: at -0.5, the start of a month that ends now, up to 0.5, now.

        This is the drift: a rising interest is weak at the start and strong at the end.
        """
        return self.pull * np.exp(_TREND * self.trend * moment)


def _user(
    world: World, split: Split, mix: Mix, name: str, rng: np.random.Generator
) -> SimulatedUser:
    end = world.span(split)[1]
    now_ms, live = _standpoint(world, split, rng)
    interests = _interests(live, rng)
    clicks = _clicks(world, interests.numbers, interests.weights(0.5), now_ms, end, rng)
    signals, sources = _signals(world, split, mix, name, now_ms, interests, clicks, rng)
    return SimulatedUser(
        name, now_ms, tuple(signals), tuple(sources), interests.numbers, tuple(clicks)
    )


def _standpoint(world: World, split: Split, rng: np.random.Generator) -> tuple[int, list[int]]:
    """A user's now, and the interests that the split's users may have then."""
    start, end = world.span(split)
    allowed = world.interests_of(split)
    for _ in range(_STANDPOINTS):
        now = start
        if split in ("train", "tune"):
            now = int(rng.integers(start + (end - start) // 20, end - (end - start) // 10))
        now_ms = int(world.times[now])
        if live := _with_past_and_future(world, allowed, now_ms, end):
            return now_ms, live
    raise ConfigurationError(
        f"no interest of the {split} users has {_LEAST_PAST} earlier and {_LEAST_FUTURE} later "
        "articles: give more articles, or articles over a longer time"
    )


def _interests(live: Sequence[int], rng: np.random.Generator) -> _Interests:
    """One to four of those that may be had."""
    many = min(len(live), int(rng.choice([1, 2, 3, 4], p=[0.2, 0.35, 0.3, 0.15])))
    numbers = tuple(live[i] for i in rng.choice(len(live), many, replace=False))
    pull = rng.dirichlet(np.full(many, 1.5)) * 0.8 + 0.2 / many
    return _Interests(numbers, pull, rng.uniform(-1, 1, many))


def _signals(
    world: World,
    split: Split,
    mix: Mix,
    name: str,
    now_ms: int,
    interests: _Interests,
    clicks: Sequence[int],
    rng: np.random.Generator,
) -> tuple[list[Signal], list[int | None]]:
    """Thirty days of signals, oldest first, and the interest behind each; one at the least."""
    amount = _amount(mix, rng)
    domains = rng.dirichlet(np.maximum(np.array(mix.domains) * 8, _LEAST_SHARE))
    moments = np.sort(rng.integers(now_ms - DAYS * _DAY_MS, now_ms, amount))
    plain = bool(rng.random() < _SENTENCE_CASE)
    clicked = [world.articles[i] for i in clicks]
    later = [stems(f"{article.title} {article.abstract}") for article in clicked]
    teller = Teller(world, mix, world.wording_of(split), plain, later, rng)
    signals: list[Signal] = []
    sources: list[int | None] = []
    said: set[str] = set()
    for at_ms in map(int, moments):
        weights = interests.weights((at_ms - now_ms) / (DAYS * _DAY_MS) + 0.5)
        domain: Domain = DOMAINS[int(rng.choice(5, p=domains))]
        source: int | None = None
        if rng.random() >= mix.noise:
            source = interests.numbers[int(rng.choice(len(weights), p=weights / weights.sum()))]
        made = teller.tell(source, domain, at_ms)
        if made is None or made[0].casefold() in said:
            continue
        said.add(made[0].casefold())
        text, item = made
        signals.append(Signal(at_ms, domain, text, f"{name}/{len(signals)}", item=item))
        sources.append(source)
    if not signals:
        # Nothing that may be said: the newest headline of the first interest.
        first = interests.numbers[0]
        own = np.flatnonzero((world.interest == first) & (world.times <= now_ms))
        article = world.articles[int(own[-1])]
        return [Signal(now_ms - 1, "news", article.title, f"{name}/0", item=article.id)], [first]
    return signals, sources


def _amount(mix: Mix, rng: np.random.Generator) -> int:
    """How many signals are drawn: few of a cold user."""
    if rng.random() < mix.cold:
        return int(rng.integers(_COLD_SIGNALS[0], _COLD_SIGNALS[1] + 1))
    return int(np.clip(rng.lognormal(2.6, 0.5), 4, 48))


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
    interests: Sequence[int],
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
