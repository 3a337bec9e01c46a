"""How often a verdict is wrong, and how often it finds what is there, with a look every day.

    python -m models.studies.sequential_looks [--runs 1000] [--lifted 200] [--seed 1]

Users with click-throughs of their own read over two weeks, and the statistics of
`models.verdict` look at them every day, as `interests experiments report` does. Printed are:

- without any difference between the arms, the share of experiments in which a look, or the last
  one alone, says that there is one; beside it the usual test at 5 %, 1.96 standard errors;
- with a lift of 3 %, the share in which it is found, with the users that the usual test needs and
  with those that the always-valid one needs (`statistics.users_for`);
- of assignments that deliver other shares than was planned, how many the sample-ratio check finds
  on the first day, and of right ones, how many it finds wrong on any of the days.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from math import ceil, log1p

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.progress import bars, stages_of
from models.studies.script import run_script
from models.verdict.looks import Arms, has_history, looks
from models.verdict.measured import PRIMARY
from models.verdict.statistics import (
    LEVEL,
    SAMPLE_RATIO_LEVEL,
    Effect,
    effect,
    sample_ratio,
    users_for,
)
from models.verdict.users import BEFORE, DONE, FIRST, Users

DAYS = 14
RATE, SPREAD = 0.10, 20.0
"""Mean click-through, and how alike users are in it: a beta distribution's two parameters' sum."""
SHOWN_A_DAY = 3.0
LIFT = 0.03
POWER = 0.8
_USUAL = 1.959964
_FIXED = (_USUAL + 0.841621) ** 2
_DAY_MS = 86_400_000
_AT_A_TIME = 20


@dataclass(frozen=True, slots=True)
class Found:
    """In how many of the experiments a difference was seen."""

    any_look: float
    last_look: float
    usual_any: float
    """By the usual test, at any of the looks."""
    usual_last: float


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of experiment."""

    name: str
    lift: float
    users: int
    at_once: bool = True
    """Whether all enter on the first day."""
    history: bool = False
    """Whether they were seen before."""


def simulated(
    users: int, lift: float, random: np.random.Generator, *, at_once: bool, history: bool = False
) -> Users:
    """Users of an experiment with two arms, who enter on its first day or one after another.

    With `history` all were seen for as long before they entered.
    """
    entry = np.zeros(users, dtype=np.int64)
    if not at_once:
        entry = np.sort(random.integers(DAYS, size=users))
    arm = random.integers(2, size=users)
    own = random.beta(RATE * SPREAD, (1 - RATE) * SPREAD, size=users)
    rate = np.minimum(own * np.where(arm == 1, 1 + lift, 1.0), 1.0)
    shown = random.poisson(SHOWN_A_DAY, size=(DAYS, users))
    shown[np.arange(DAYS)[:, None] < entry] = 0
    clicks = random.binomial(shown, rate)
    day, user = np.nonzero(shown)
    done = np.zeros((len(day), len(DONE)))
    done[:, DONE.index("impressions")] = shown[day, user]
    done[:, DONE.index("clicks")] = clicks[day, user]
    before = np.zeros((users, len(BEFORE)))
    if history:
        seen = random.poisson(SHOWN_A_DAY * DAYS, size=users)
        before[:, BEFORE.index("impressions_before")] = seen
        before[:, BEFORE.index("clicks_before")] = random.binomial(seen, own)
    return Users(
        arms=("control", "other"),
        arm=arm,
        entry_day=entry,
        signals=np.zeros(users, dtype=np.int64),
        domain=np.full(users, "", dtype=object),
        before=before,
        first=np.zeros((users, len(FIRST))),
        user=user,
        day=day,
        done=done,
        start_ms=0,
        end_ms=DAYS * _DAY_MS - 1,
        day_ms=_DAY_MS,
        in_two_arms=0,
        forced=0,
    )


def found(kind: Kind, runs: int, random: np.random.Generator) -> Found:
    """The shares over so many experiments of a kind."""
    hits = np.zeros(4)
    for _ in range(runs):
        users = simulated(kind.users, kind.lift, random, at_once=kind.at_once, history=kind.history)
        adjusted = has_history(users, PRIMARY, users.arms)
        always, usual = [], []
        for look in looks(users):
            one = _effect(look.arms, adjusted)
            always.append(one is not None and one.p_value <= LEVEL)
            usual.append(one is not None and abs(log1p(one.change)) > _USUAL * one.standard_error)
        hits += (any(always), always[-1], any(usual), usual[-1])
    return Found(*(hits / runs).tolist())


def _found(given: tuple[Kind, np.random.SeedSequence]) -> Found:
    kind, seed = given
    return found(kind, _AT_A_TIME, np.random.default_rng(seed))


def _effect(arms: Arms, adjusted: bool) -> Effect | None:
    if len(arms) < 2:
        return None
    return effect(PRIMARY, arms["control"], arms["other"], adjusted=adjusted)


def ratio_found(
    share: float, users_a_day: int, runs: int, random: np.random.Generator
) -> tuple[float, float]:
    """Shares of assignments to two equal arms called broken after the first day, and after any."""
    first = whole = 0
    for _ in range(runs):
        others = random.binomial(users_a_day, share, size=DAYS).cumsum()
        everybody = users_a_day * np.arange(1, DAYS + 1)
        p_values = sample_ratio(np.column_stack([everybody - others, others]), (0.5, 0.5))
        first += p_values[0] < SAMPLE_RATIO_LEVEL
        whole += p_values[-1] < SAMPLE_RATIO_LEVEL
    return first / runs, whole / runs


def variance(random: np.random.Generator, *, history: bool, users: int = 200_000) -> float:
    """Of the logarithm of the click-through, a user each, at the end of the two weeks."""
    *_, last = looks(simulated(users, 0.0, random, at_once=True, history=history))
    one = _effect(last.arms, history)
    assert one is not None, "so many users have clicked"
    return one.standard_error**2 * users / 4


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="experiments without a lift")
    parser.add_argument("--lifted", type=int, default=200, help="experiments with one")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    seeds = np.random.SeedSequence(given.seed)
    random = np.random.default_rng(seeds)
    console = Console()
    table = _table(
        f"Share of experiments with a difference seen, {DAYS} daily looks",
        ("lift", "users", "in all", "runs", "any look", "last look", "usual: any", "usual: last"),
    )
    with ProcessPoolExecutor() as pool, bars(Console(stderr=True)) as shown:
        for kind in kinds(random):
            blocks = max(1, (given.lifted if kind.lift else given.runs) // _AT_A_TIME)
            told = stages_of(shown)(kind.name, blocks)
            each = []
            for one in pool.map(_found, [(kind, seed) for seed in seeds.spawn(blocks)]):
                each.append(astuple(one))
                told(1)
            shares = (f"{share:.1%}" for share in np.mean(each, axis=0))
            runs = f"{blocks * _AT_A_TIME:,}"
            table.add_row(f"{kind.lift:.0%}", kind.name, f"{kind.users:,}", runs, *shares)
    console.print(table)
    console.print(_of_ratios(given.runs, random))


def kinds(random: np.random.Generator) -> list[Kind]:
    """What is simulated; how many users a lift needs is found out on others."""
    plain, adjusted = (variance(random, history=history) for history in (False, True))
    usual = ceil(_FIXED * 4 * plain / log1p(LIFT) ** 2)
    always = users_for(LIFT, plain, (0.5, 0.5), POWER)
    with_history = users_for(LIFT, adjusted, (0.5, 0.5), POWER)
    return [
        Kind("enter on the first day", 0.0, 2_000),
        Kind("enter one after another", 0.0, 2_000, at_once=False),
        Kind("were seen before", 0.0, 2_000, history=True),
        Kind("as many as the usual test needs", LIFT, usual),
        Kind("as many as the always-valid one needs", LIFT, always),
        Kind("as many as it needs, seen before", LIFT, with_history, history=True),
    ]


def _of_ratios(runs: int, random: np.random.Generator) -> Table:
    table = _table(
        f"Share of {runs} assignments, planned 50:50, that are called broken",
        ("delivered", "users a day", "on the first day", f"within {DAYS} days"),
    )
    for share in (0.5, 0.51, 0.52):
        for users in (2_000, 5_000, 10_000, 20_000):
            first, whole = ratio_found(share, users, runs, random)
            delivered = f"{100 * (1 - share):.0f}:{100 * share:.0f}"
            table.add_row(delivered, f"{users:,}", f"{first:.1%}", f"{whole:.1%}")
    return table


def _table(title: str, head: Sequence[str]) -> Table:
    table = Table(*head, title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in table.columns[2:]:
        column.justify = "right"
    return table


if __name__ == "__main__":
    run_script(main)
