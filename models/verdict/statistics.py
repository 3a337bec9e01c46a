"""The tests of a verdict. All may be looked at every day: their error is that of all looks.

Means, ratios (delta method: Deng, Knoblich & Lu 2018) and the adjustment by what users did before
(CUPED: Deng, Xu, Kohavi & Walker 2013) are tea-tasting's, the distributions and the correction for
many comparisons SciPy's. Neither has always-valid intervals: these are the mixture of Robbins with
a normal prior, as in Johari, Koomen, Pekelis & Walsh, "Always Valid Inference" (2022), eq. 10, and
Waudby-Smith et al., "Time-uniform central limit theory" (2024), eq. 14. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, expm1, hypot, isfinite, log, log1p, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import dirichlet_multinomial, false_discovery_control, multinomial
from tea_tasting.aggr import Aggregates
from tea_tasting.metrics import RatioOfMeans

from models.verdict.measured import PRIMARY, Metric
from service.errors import InvalidInput

LEVEL = 0.05
"""Of false alarms in an experiment whose arms do not differ, over all looks."""
SAMPLE_RATIO_LEVEL = 0.01
"""Of false alarms of the sample-ratio check, over all looks."""
CONCENTRATION = 1_000.0
"""Users' worth of belief in the planned shares: how near to them the check looks for others."""
_TWO_SIDED = NormalDist().inv_cdf(0.975)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effect:
    """An arm against the control in one metric.

    `change` and its bounds are relative (0.03: three per cent more) or differences, as the metric
    is compared.
    """

    control: float
    other: float
    change: float
    low: float
    high: float
    p_value: float
    """Always valid: below the level at any look means as much as at a single planned one."""
    standard_error: float
    """Of the change; of its logarithm where the metric is relative."""


def summary(columns: Sequence[str], values: Floats) -> Aggregates:
    """Count, means and covariances of (users, columns), of two users or more."""
    covariance = np.atleast_2d(np.cov(values, rowvar=False))
    means = values.mean(axis=0)
    places = range(len(columns))
    return Aggregates(
        len(values),
        {columns[i]: float(means[i]) for i in places},
        {columns[i]: float(covariance[i, i]) for i in places},
        {(columns[i], columns[j]): float(covariance[i, j]) for i in places for j in range(i)},
    )


def effect(
    metric: Metric,
    control: Aggregates,
    other: Aggregates,
    *,
    adjusted: bool = False,
    level: float = LEVEL,
) -> Effect | None:
    """Compare two arms; None where nothing was seen that could be compared.

    `adjusted` takes out what the users' behaviour before their entry foretold. A share is never
    surer than if one more user of each arm had been the other way: it may not have varied at all.
    """
    if (found := _estimate(metric, control, other, adjusted)) is None:
        return None
    change, error = found.change, found.error
    if not metric.relative:
        error = max(error, hypot(1 / control.count(), 1 / other.count()))
    if not (isfinite(error) and error > 0):
        return None
    half = always_valid_factor(error, metric.expected, level) * error
    shown = expm1 if metric.relative else float
    return Effect(
        found.control,
        found.other,
        shown(change),
        shown(change - half),
        shown(change + half),
        always_valid_p(change, error, metric.expected),
        error,
    )


@dataclass(frozen=True, slots=True)
class _Estimate:
    """Two arms, the change between them (its logarithm if relative), and its standard error."""

    control: float
    other: float
    change: float
    error: float


def _estimate(
    metric: Metric, control: Aggregates, other: Aggregates, adjusted: bool
) -> _Estimate | None:
    columns = (metric.numerator, metric.denominator)
    if not all(arm.mean(metric.denominator) > 0 for arm in (control, other)):
        return None
    if all(_constant(arm, columns) for arm in (control, other)):
        # The delta method's variance is then about -1e-17, of which the library takes the root.
        first, second = (arm.mean(columns[0]) / arm.mean(columns[1]) for arm in (control, other))
        return None if metric.relative else _Estimate(first, second, second - first, 0.0)
    before = metric.before if adjusted and metric.before else (None, None)
    test = RatioOfMeans(*columns, *before, use_t=False, equal_var=False, confidence_level=0.95)
    # An arm of which nothing was counted makes infinities, which are looked for below.
    with np.errstate(all="ignore"):
        found = test.analyze_aggregates(control, other)
    if metric.relative:
        if not (found.control > 0 and found.treatment > 0):
            return None
        change = log1p(found.rel_effect_size)
        width = log1p(found.rel_effect_size_ci_upper) - log1p(found.rel_effect_size_ci_lower)
    else:
        change = found.effect_size
        width = found.effect_size_ci_upper - found.effect_size_ci_lower
    return _Estimate(
        float(found.control), float(found.treatment), float(change), float(width) / 2 / _TWO_SIDED
    )


def _constant(arm: Aggregates, columns: tuple[str, str | None]) -> bool:
    """Whether the ratio is the same for every user, but for rounding."""
    ratio = arm.mean(columns[0]) / arm.mean(columns[1])
    return bool(arm.ratio_var(*columns) <= 1e-12 * max(1.0, ratio**2))


def always_valid_factor(standard_error: float, expected: float, level: float) -> float:
    """Standard errors to each side of an estimate; 1.96 where a test has one look alone.

    `expected` is the standard deviation of the mixture over true changes, chosen beforehand.
    """
    ratio = (expected / standard_error) ** 2
    return sqrt((1 + ratio) / ratio * (log1p(ratio) - 2 * log(level)))


def always_valid_p(change: float, standard_error: float, expected: float) -> float:
    """The level at which the interval of `always_valid_factor` would just touch no change."""
    ratio = (expected / standard_error) ** 2
    weight = ratio / (1 + ratio)
    return min(1.0, exp(log1p(ratio) / 2 - weight * (change / standard_error) ** 2 / 2))


def sample_ratio(counts: NDArray[np.int64], shares: Sequence[float]) -> list[float]:
    """P-values of the planned shares after each look; none of them ever rises again.

    `counts` are the users so far, (looks, arms). The Bayes factor of a Dirichlet prior around the
    shares against the shares themselves: Lindon & Malek, "Anytime-valid inference for multinomial
    count data" (2022).
    """
    planned = np.asarray(shares, dtype=np.float64)
    planned = planned / planned.sum()
    users = counts.sum(axis=1)
    for_others = dirichlet_multinomial.logpmf(counts, CONCENTRATION * planned, users)
    for_planned = multinomial.logpmf(counts, users, planned)
    evidence = np.maximum.accumulate(for_others - for_planned)
    return [min(1.0, exp(-max(one, 0.0))) for one in evidence.tolist()]


def corrected(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values of many comparisons by name: of those below 5 %, at most 5 % are false on average.

    By the procedure of Benjamini & Hochberg (1995).
    """
    if not p_values:
        return {}
    adjusted = false_discovery_control(list(p_values.values()), method="bh")
    return dict(zip(p_values, map(float, adjusted), strict=True))


def users_for(lift: float, variance: float, shares: tuple[float, float], power: float = 0.8) -> int:
    """Users in all so that a true lift of the primary metric is seen at the last look.

    In `power` of the experiments, and in some more at an earlier look. `variance` is that of the
    logarithm of the metric, of a user each; `shares`, above 0, are the parts of the users in the
    two arms. Raises `InvalidInput` for a lift of 0, or of -1 and below.
    """
    if lift <= -1 or lift == 0:
        raise InvalidInput("give more than -1, and not 0", field="lift")
    change = abs(log1p(lift))
    spread = variance / shares[0] + variance / shares[1]
    beyond = NormalDist().inv_cdf(power)

    def too_few(users: int) -> bool:
        error = sqrt(spread / users)
        return change < error * (always_valid_factor(error, PRIMARY.expected, LEVEL) + beyond)

    low, high = 0, 1
    while too_few(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if too_few(middle) else (low, middle)
    return high
