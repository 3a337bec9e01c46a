"""How often a verdict is wrong, and how often it finds what is there, with a look every day.

    python -m models.studies.sequential_looks [--runs 1000] [--seed 1]

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, log1p

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.progress import Progress, bars, stages_of
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


@dataclass(frozen=True, slots=True)
class Found:
    """In how many of the experiments a difference was seen."""

    any_look: float
    last_look: float
    usual_any: float
    """By the usual test, at any of the looks."""
    usual_last: float


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


def found(make: Callable[[], Users], runs: int, told: Progress) -> Found:
    """The shares over so many experiments."""
    hits = np.zeros(4)
    for _ in range(runs):
        users = make()
        adjusted = has_history(users, PRIMARY, users.arms)
        always, usual = [], []
        for look in looks(users):
            one = _effect(look.arms, adjusted)
            always.append(one is not None and one.p_value <= LEVEL)
            usual.append(one is not None and abs(log1p(one.change)) > _USUAL * one.standard_error)
        hits += (any(always), always[-1], any(usual), usual[-1])
        told(1)
    return Found(*(hits / runs).tolist())


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


def variance(random: np.random.Generator, *, history: bool) -> float:
    """Of the logarithm of the click-through, a user each, at the end of the two weeks."""
    users = 200_000
    *_, last = looks(simulated(users, 0.0, random, at_once=True, history=history))
    one = _effect(last.arms, history)
    assert one is not None, "so many users have clicked"
    return one.standard_error**2 * users / 4


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="experiments of each kind")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    console = Console()
    with bars(Console(stderr=True)) as shown:
        stage = stages_of(shown)
        tables = [
            _of_effects(given.runs, random, lambda what: stage(what, given.runs)),
            _of_ratios(given.runs, random),
        ]
    for table in tables:
        console.print(table)


def _of_effects(runs: int, random: np.random.Generator, begin: Callable[[str], Progress]) -> Table:
    table = _table(
        f"Share of {runs} experiments with a difference seen, {DAYS} daily looks",
        ("lift", "users", "in all", "any look", "last look", "usual: any", "usual: last"),
    )
    for lift, users, at_once, history, name in _experiments(random):
        result = found(
            partial(simulated, users, lift, random, at_once=at_once, history=history),
            runs,
            begin(name),
        )
        shares = (result.any_look, result.last_look, result.usual_any, result.usual_last)
        table.add_row(f"{lift:.0%}", name, f"{users:,}", *(f"{one:.1%}" for one in shares))
    return table


def _experiments(random: np.random.Generator) -> list[tuple[float, int, bool, bool, str]]:
    """Lift, users, whether all enter at once, whether they have a history, and a name."""
    plain, adjusted = (variance(random, history=history) for history in (False, True))
    usual = ceil(_FIXED * 4 * plain / log1p(LIFT) ** 2)
    always = users_for(LIFT, plain, (0.5, 0.5), POWER)
    with_history = users_for(LIFT, adjusted, (0.5, 0.5), POWER)
    return [
        (0.0, 10_000, True, False, "enter on the first day"),
        (0.0, 10_000, False, False, "enter one after another"),
        (0.0, 10_000, True, True, "seen before"),
        (LIFT, usual, True, False, "as the usual test needs"),
        (LIFT, always, True, False, "as the always-valid one needs"),
        (LIFT, with_history, True, True, "as it needs, seen before"),
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
    for column in table.columns[-4:]:
        column.justify = "right"
    return table


if __name__ == "__main__":
    run_script(main)
