"""When requests of an open loop are due. Pure."""

from __future__ import annotations

import random


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Moments from 0 to `seconds`, `rate` of them a second on average, at random.

    A Poisson process: each arrival knows nothing of the others, as requests of many users do not.
    The same seed gives the same moments. Raises `ValueError` for a rate of 0 or less.
    """
    if rate <= 0:
        raise ValueError("the rate must be more than 0")
    rng, moments = random.Random(seed), list[float]()
    at = rng.expovariate(rate)
    while at < seconds:
        moments.append(at)
        at += rng.expovariate(rate)
    return moments
