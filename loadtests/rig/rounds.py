"""Sides measured in turns, so that a machine that grows slower meanwhile does so for all of them.

The order is turned round each time (A B, B A, A B, …), and medians are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loadtests.rig.figures import Spread, ratio, spread
from loadtests.rig.progress import steps

LEAST_ROUNDS = 5
"""Below this a median says little; fewer are for trying out."""

Figures = Mapping[str, float]
"""What one turn showed, by the name of the figure with its unit (`p50 ms`)."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of those that are compared: its name, and what measures one turn of it."""

    name: str
    turn: Callable[[], Figures]


@dataclass(frozen=True, slots=True)
class Measured:
    """The turns of every side, in the order of the rounds."""

    turns: Mapping[str, Sequence[Figures]]

    @property
    def sides(self) -> list[str]:
        """Their names, in the order given."""
        return list(self.turns)

    @property
    def names(self) -> list[str]:
        """The figures that there are, in the order of the first turn's."""
        return list(dict.fromkeys(name for turns in self.turns.values() for name in turns[0]))

    def values(self, side: str, name: str) -> list[float]:
        """One figure of one side, round by round; empty where the side does not have it."""
        return [turn[name] for turn in self.turns[side] if name in turn]

    def spread(self, side: str, name: str) -> Spread:
        """Median, lowest and highest of the rounds."""
        return spread(self.values(side, name))

    def ratio(self, side: str, reference: str, name: str) -> Spread:
        """See `figures.ratio`."""
        return ratio(self.values(side, name), self.values(reference, name))


def order(names: Sequence[str], round_number: int) -> list[str]:
    """Who is measured in which order in this round, from 0: every other time the reverse."""
    return list(names) if round_number % 2 == 0 else list(reversed(names))


def in_turns(sides: Sequence[Side], rounds: int, *, warm: bool = True) -> Measured:
    """Measure every side once in each round.

    With `warm` each has one turn before, which is thrown away: caches fill, connections are made.
    """
    by_name = {side.name: side for side in sides}
    found: dict[str, list[Figures]] = {name: [] for name in by_name}
    with steps(len(sides) * (rounds + warm)) as step:
        if warm:
            for name in by_name:
                step(f"warming up: {name}")
                by_name[name].turn()
        for number in range(rounds):
            for name in order(list(by_name), number):
                step(f"round {number + 1} of {rounds}: {name}")
                found[name].append(by_name[name].turn())
    return Measured(found)
