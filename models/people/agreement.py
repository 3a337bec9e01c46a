"""How far two judges agree. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from models.people.records import GRADES, Judgement
from service.errors import InvalidInput

Pairs = list[tuple[int, int]]


def graded_twice(one: Iterable[Judgement], other: Iterable[Judgement]) -> Pairs:
    """The grades of what both have judged."""
    known = {(each.person, each.article): each.grade for each in one}
    return [
        (known[each.person, each.article], each.grade)
        for each in other
        if (each.person, each.article) in known
    ]


def kappa(pairs: Pairs, *, weighted: bool = False) -> float:
    """Cohen's kappa: 1 where judges agree in everything, 0 where no more than by chance.

    Cohen, A Coefficient of Agreement for Nominal Scales (1960). `weighted`: by the squared distance
    of the grades (Cohen 1968), so that 0 against 2 counts four times 0 against 1. 1 where both gave
    everything the same one grade. Raises `InvalidInput` for no pairs.
    """
    if not pairs:
        raise InvalidInput("nothing was judged twice", field="pairs")
    counts = np.zeros((len(GRADES), len(GRADES)))
    np.add.at(counts, tuple(np.array(pairs).T), 1)
    seen = counts / counts.sum()
    chance = np.outer(seen.sum(axis=1), seen.sum(axis=0))
    apart = np.subtract.outer(GRADES, GRADES) ** 2
    cost = apart if weighted else (apart > 0).astype(int)
    expected = float((cost * chance).sum())
    return 1.0 - float((cost * seen).sum()) / expected if expected else 1.0
