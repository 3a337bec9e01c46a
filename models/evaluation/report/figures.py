"""From what was measured to figures with intervals. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.evaluate import Measured
from models.evaluation.intervals import (
    Interval,
    bootstrap_interval,
    paired_difference,
    ratio_interval,
)
from models.evaluation.systems import Ablation, Evaluation, Searched, System
from service.errors import InvalidInput

BINS = ((0, 3), (4, 8), (9, 14), (15, 24), (25, 10**9))
"""Signals of a user, from and to. Those of up to three are cold."""

Floats = NDArray[np.float64]
Json = dict[str, Any]


def figures(done: Evaluation, seed: int) -> Json:
    """All figures as JSON knows them. `seed` is the bootstrap's.

    Intervals are over persons: of several impressions of one, the mean counts. An infinite bound
    of a ratio becomes None.
    """
    people = _People(done)
    return {
        "systems": [_measured(people, system, seed) for system in done.systems],
        "best_baseline": _best_baseline(done, people).name,
        "comparisons": [
            _compared(people, student, other, seed)
            for student in done.systems
            if student.student
            for other in done.systems
            if _comparable(student, other)
        ],
        "by_signals": _by_signals(done, people, seed),
        "beside_popularity": _beside_popularity(done, people, seed),
        "searched_by": [_searched(people, searched, seed) for searched in done.searched],
        "ablations": [_ablated(people, ablation, seed) for ablation in done.ablations],
        "searches_cut_short": done.shallow,
    }


class _People:
    """Means over the entries of one person, so that persons are what is resampled."""

    def __init__(self, done: Evaluation) -> None:
        names = done.data.persons
        self.numbers = np.unique(names, return_inverse=True)[1]

    def mean(self, values: Floats, among: NDArray[np.bool_] | None = None) -> Floats:
        """One value a person, of those that have any; `among` marks the entries that count."""
        good = ~np.isnan(values) if among is None else ~np.isnan(values) & among
        sums = np.bincount(self.numbers[good], values[good], self.numbers.max() + 1)
        many = np.bincount(self.numbers[good], minlength=self.numbers.max() + 1)
        means: Floats = sums[many > 0] / many[many > 0]
        return means


def _measured(people: _People, system: System, seed: int) -> Json:
    found: Json = {"name": system.name, "reading": system.reading, "student": system.student}
    return found | _intervals(people, system.measured, seed)


def _intervals(people: _People, measured: Measured, seed: int) -> Json:
    return {name: _interval(people.mean(values), seed) for name, values in measured.items()}


def _best_baseline(done: Evaluation, people: _People) -> System:
    """By Recall@50 alone; those cut to a student's length are none."""
    alone = [
        system
        for system in done.systems
        if system.reading == "L" and not (system.student or system.beside)
    ]
    return max(alone, key=lambda system: float(people.mean(system.measured["recall@50"]).mean()))


def _comparable(student: System, other: System) -> bool:
    """Students meet each other in the same reading, L meets the baselines alone, the others meet
    them in both readings. A baseline cut to a student's length meets that student in one reading.
    """
    if other.beside is not None:
        return other.beside == student.name and student.reading == other.meets
    if other.student:
        return other.name != student.name and other.reading == student.reading
    return other.reading in {"L", student.reading}


def _compared(people: _People, student: System, other: System, seed: int) -> Json:
    found: Json = {
        "system": student.name,
        "reading": student.reading,
        "against": other.name,
        "against_reading": other.reading,
    }
    return found | _paired(people, student.measured, other.measured, seed)


def _paired(people: _People, mine: Measured, other: Measured, seed: int) -> Json:
    """Difference and ratio of each measure that somebody has."""
    found: Json = {}
    for name in mine:
        a, b = people.mean(mine[name]), people.mean(other[name])
        if not a.size:
            continue
        try:
            ratio = _as_json(ratio_interval(a, b, seed=seed))
        except InvalidInput:  # the other found nothing for anybody
            ratio = None
        found[name] = {"difference": _as_json(paired_difference(a, b, seed=seed)), "ratio": ratio}
    return found


def _beside_popularity(done: Evaluation, people: _People, seed: int) -> list[Json]:
    """Of a log: what is served, with and without popular articles, against these alone."""
    if done.data.simulated:
        return []
    popular = next(system for system in done.systems if system.name == "popularity")
    return [
        {
            **_measured(people, system, seed),
            "against_popularity": _paired(people, system.measured, popular.measured, seed),
        }
        for system in done.systems
        if system.reading != "L" or system.name in ("popularity", "own signals")
    ]


def _searched(people: _People, searched: Searched, seed: int) -> Json:
    """Each measure by words, by meaning and by both, and both against words alone."""
    return {
        "name": searched.name,
        "reading": searched.reading,
        "student": searched.student,
        "by": {kind: _intervals(people, found, seed) for kind, found in searched.by.items()},
        "both_against_words": _paired(people, searched.by["both"], searched.by["words"], seed),
    }


def _ablated(people: _People, ablation: Ablation, seed: int) -> Json:
    """What S is as served, and for each part what it is without it and what the part brings."""
    whole = ablation.without["nothing"]
    return {
        "name": ablation.name,
        "student": ablation.student,
        "as_served": _intervals(people, whole, seed),
        "parts": [
            {
                "part": part,
                "without": _intervals(people, found, seed),
                "brings": _paired(people, whole, found, seed),
            }
            for part, found in ablation.without.items()
            if part != "nothing"
        ],
    }


def _by_signals(done: Evaluation, people: _People, seed: int) -> list[Json]:
    """Recall@50 of every list alone, by the number of a user's signals."""
    many = np.array([len(user.signals) for user in done.data.users])
    rows: list[Json] = []
    for low, high in BINS:
        among = (many >= low) & (many <= high)
        if not among.any():
            continue
        label = f"{low}–{high}" if high < 10**9 else f"{low} and more"
        label = label if low else f"up to {high}"
        rows += [
            {
                "signals": label,
                "cold": high <= BINS[0][1],
                "users": int(among.sum()),
                "name": system.name,
                "recall@50": _interval(people.mean(system.measured["recall@50"], among), seed),
            }
            for system in done.systems
            if system.reading == "L" and system.beside is None
        ]
    return rows


def _interval(values: Floats, seed: int) -> Json | None:
    if not values.size:
        return None
    return {**_as_json(bootstrap_interval(values, seed=seed)), "users": int(values.size)}


def _as_json(interval: Interval) -> Json:
    bounds = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {name: float(value) if np.isfinite(value) else None for name, value in bounds.items()}
