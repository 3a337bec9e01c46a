"""Tests that may be looked at all the time: their errors are bounded over all looks together. Pure.

Both weigh what was counted under a null hypothesis against a mixture of all others. That ratio is a
martingale under the null, so that by Ville's inequality it ever exceeds 1/alpha with a probability
of at most alpha, however often and whenever one looks.

- `ratio_evidence`: M. Lindon and A. Malek, "Anytime-Valid Inference for Multinomial Count Data",
  NeurIPS 2022: a multinomial's shares against a Dirichlet mixture.
- `bounds`: a confidence sequence for one proportion, by the same ratio with a beta mixture:
  H. Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm", Annals of
  Mathematical Statistics 41 (1970); S. Howard, A. Ramdas, J. McAuliffe and J. Sekhon,
  "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import lgamma, log

CONCENTRATION = 1_000.0
"""How near the mixture's shares are to the expected ones. With it ratios that are off by some per
cent are found soonest, as they are where an arm loses a part of its answers."""
_PRIOR = 0.5
"""Jeffreys' prior: sharp where a proportion is near 0, as those of failures are."""
_HALVINGS = 50


def ratio_evidence(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Log of the evidence against users being spread by `shares`, which add up to 1.

    To reject where it exceeds `log(1 / alpha)` errs with a probability of at most alpha.
    """
    found = lgamma(CONCENTRATION) - lgamma(CONCENTRATION + sum(counts))
    for count, share in zip(counts, shares, strict=True):
        prior = CONCENTRATION * share
        found += lgamma(prior + count) - lgamma(prior) - count * log(share)
    return found


def bounds(hits: int, of: int, alpha: float) -> tuple[float, float]:
    """Between which the proportion is: always, at all looks, with a probability of 1 - alpha."""
    if of == 0:
        return 0.0, 1.0
    misses, limit = of - hits, log(1 / alpha)
    mixture = _log_beta(_PRIOR + hits, _PRIOR + misses) - _log_beta(_PRIOR, _PRIOR)

    def refused(p: float) -> bool:
        likelihood = (hits * log(p) if hits else 0.0) + (misses * log(1 - p) if misses else 0.0)
        return mixture - likelihood > limit

    seen = hits / of
    low = _edge(seen, 0.0, refused) if hits else 0.0
    high = _edge(seen, 1.0, refused) if misses else 1.0
    return low, high


def worse_by(control: tuple[int, int], other: tuple[int, int], alpha: float) -> float:
    """By how much the other's proportion is higher than the control's, at the least.

    Each is `(hits, of)`; it is wrong at any look with a probability of at most 2 alpha. Below 0
    where nothing is known.
    """
    return bounds(*other, alpha)[0] - bounds(*control, alpha)[1]


def _edge(inside: float, outside: float, refused: Callable[[float], bool]) -> float:
    """Where what is refused begins, a little on its side, between what is seen and 0 or 1."""
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if refused(middle):
            outside = middle
        else:
            inside = middle
    return outside


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
