"""The attacks by name, and what is seen of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadtests.attack.stage import Stage


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of an attack, in a few words, and whether it was withstood."""

    what: str
    held: bool


@dataclass(frozen=True, slots=True)
class Attack:
    """`area`: what it is aimed at. `name` says what is done."""

    area: str
    name: str
    run: Callable[[Stage], Seen]


ATTACKS: list[Attack] = []
"""In the order of the table. Filled by the modules beside this one as they are imported."""


def attack(area: str, name: str) -> Callable[[Callable[[Stage], Seen]], Callable[[Stage], Seen]]:
    """Put a function into the table."""

    def put(run: Callable[[Stage], Seen]) -> Callable[[Stage], Seen]:
        ATTACKS.append(Attack(area, name, run))
        return run

    return put
