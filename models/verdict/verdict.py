"""From effects to words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from models.verdict.measured import GUARDRAILS, PRIMARY, Metric
from models.verdict.statistics import SAMPLE_RATIO_LEVEL, Effect


class Word(StrEnum):
    """What an arm is, beside the control."""

    BETTER = "better"
    WORSE = "worse"
    NOTHING_YET = "no difference seen yet"
    BROKEN = "broken: sample ratio"
    BREACHED = "guardrail breached"


class Guard(StrEnum):
    """What is known of a guardrail."""

    HOLDS = "holds"
    """No change for the worse is beyond what is borne."""
    BREACHED = "breached"
    OPEN = "not known yet"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A word, and sentences that say why."""

    word: Word
    reasons: tuple[str, ...]


def guard(metric: Metric, found: Effect | None) -> Guard:
    """Whether a guardrail holds. One of which nothing was seen at all is not known."""
    if found is None or metric.tolerance is None:
        return Guard.OPEN
    worse = (found.low, found.high) if metric.better == "lower" else (-found.high, -found.low)
    if worse[0] > metric.tolerance:
        return Guard.BREACHED
    return Guard.HOLDS if worse[1] <= metric.tolerance else Guard.OPEN


def verdict(
    primary: Effect | None, guards: Mapping[str, Guard], sample_ratio: Sequence[float]
) -> Verdict:
    """The word for an arm: what makes the others meaningless stands before them.

    `guards` are by name of the guardrail, `sample_ratio` the p-values of the looks, empty where the
    shares could not be checked.
    """
    if sample_ratio and sample_ratio[-1] < SAMPLE_RATIO_LEVEL:
        look = next(n for n, p in enumerate(sample_ratio, 1) if p < SAMPLE_RATIO_LEVEL)
        return Verdict(
            Word.BROKEN,
            (
                "The arms do not have the shares of users that were planned "
                f"(p = {sample_ratio[-1]:.2g}, first seen at look {look}). Who is missing may "
                "differ from who is there, so no other number of this page can be trusted.",
            ),
        )
    breached = [one for one in GUARDRAILS if guards.get(one.name) is Guard.BREACHED]
    if breached:
        names = ", ".join(one.title for one in breached)
        return Verdict(
            Word.BREACHED,
            (f"Worse by more than is borne: {names}.", _said(primary)),
        )
    if primary is None or primary.low <= 0 <= primary.high:
        return Verdict(Word.NOTHING_YET, (_said(primary),))
    better = (primary.change > 0) is (PRIMARY.better == "higher")
    return Verdict(Word.BETTER if better else Word.WORSE, (_said(primary),))


def _said(primary: Effect | None) -> str:
    if primary is None:
        return "Too few users or clicks to say anything of the click-through."
    if primary.low <= 0 <= primary.high:
        return (
            f"The click-through changed by {primary.change:+.1%}; the true change lies between "
            f"{primary.low:+.1%} and {primary.high:+.1%}, which holds no change at all, too."
        )
    return (
        f"The click-through changed by {primary.change:+.1%}; the true change lies between "
        f"{primary.low:+.1%} and {primary.high:+.1%}."
    )
