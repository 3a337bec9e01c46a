"""The metrics of an experiment: what is set against what, which way is better, what is too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A ratio of two sums over users; its unit is the user all the same."""

    name: str
    title: str
    numerator: str
    """A column of `users.DONE`."""
    denominator: str | None
    """A column of `users.DONE`; None: the users."""
    better: Literal["higher", "lower"]
    relative: bool = True
    """Whether arms are compared by their quotient, or by their difference."""
    before: tuple[str, str | None] | None = None
    """The same of the time before the users entered: columns of `users.BEFORE`."""
    tolerance: float | None = None
    """Of a guardrail: the change for the worse that is still borne, as arms are compared."""

    @property
    def expected(self) -> float:
        """The size of change that the always-valid interval is tuned for.

        An interval holds whatever this is; it is narrowest while its standard error is a third of
        it, and a few per cent wider while that is a tenth or as large.
        """
        return 0.05 if self.relative else 0.01


PRIMARY = Metric(
    "click_through",
    "Click-through: clicks per article shown",
    "clicks",
    "impressions",
    "higher",
    before=("clicks_before", "impressions_before"),
)
"""The metric that the verdict is about."""
METRICS = (
    PRIMARY,
    Metric(
        "dwell_per_click",
        "Reading time per click, ms",
        "dwell_ms",
        "clicks",
        "higher",
        before=("dwell_ms_before", "clicks_before"),
    ),
    Metric(
        "clicks_per_user",
        "Clicks per user",
        "clicks",
        None,
        "higher",
        before=("clicks_before", None),
    ),
)
GUARDRAILS = (
    Metric(
        "coverage",
        "Share of queries that were answered",
        "covered",
        "coverage_known",
        "higher",
        relative=False,
        tolerance=0.01,
    ),
    Metric("latency", "Mean time of an answer, ms", "total_ms", "answers", "lower", tolerance=0.10),
    Metric(
        "slow",
        "Share of slow answers",
        "slow",
        "answers",
        "lower",
        relative=False,
        tolerance=0.01,
    ),
    Metric(
        "degraded",
        "Share of degraded answers",
        "degraded",
        "answers",
        "lower",
        relative=False,
        tolerance=0.01,
    ),
    Metric(
        "empty",
        "Share of answers without candidates",
        "empty",
        "answers",
        "lower",
        relative=False,
        tolerance=0.005,
    ),
)
