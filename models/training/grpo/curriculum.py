"""Which prompts come next: those of whose kind something is still to be learnt.

A group whose lists all get the same reward teaches nothing, so prompts are drawn by how far apart
the rewards of their like were, lately. Pure but for its random numbers, which are seeded.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

_LEAST = 0.1
"""Of the mean weight, what each keeps: what seems learnt is asked again now and then."""
_MEMORY = 0.5
"""Of what was known, at each new group."""


class Curriculum:
    """Prompts drawn one after another.

    Prompts of one kind (views of one person) share what is known of them.
    """

    def __init__(self, kinds: Sequence[str], seed: int) -> None:
        """`kinds[i]` is the kind of prompt `i`."""
        self._kinds = tuple(kinds)
        self._spread: dict[str, float] = {}
        self._random = random.Random(seed)

    def draw(self, count: int) -> list[int]:
        """That many different prompts, or all of them where there are fewer, then some again."""
        chosen: list[int] = []
        while len(chosen) < count:
            some = min(count - len(chosen), len(self._kinds))
            weights = self._weights()
            # Weighted sampling without replacement (Efraimidis and Spirakis, 2006).
            keys = [self._random.random() ** (1 / weight) for weight in weights]
            order = sorted(range(len(keys)), key=lambda place: -keys[place])
            chosen += order[:some]
        return chosen

    def learn(self, prompt: int, spread: float) -> None:
        """The rewards of a group of this prompt had this standard deviation."""
        kind = self._kinds[prompt]
        known = self._spread.get(kind, spread)
        self._spread[kind] = _MEMORY * known + (1 - _MEMORY) * spread

    def _weights(self) -> list[float]:
        known = self._spread.values()
        usual = sum(known) / len(known) if known else 1.0
        least = _LEAST * usual or 1.0
        return [max(self._spread.get(kind, usual), least) for kind in self._kinds]

    def state(self) -> dict[str, Any]:
        """All that it knows, as JSON: `restore` goes on from it."""
        version, numbers, gauss = self._random.getstate()
        return {"spread": dict(self._spread), "random": [version, list(numbers), gauss]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state. Raises `ValueError`, `LookupError` or `TypeError` for another one."""
        version, numbers, gauss = state["random"]
        self._random.setstate((version, tuple(numbers), gauss))
        self._spread = {str(kind): float(spread) for kind, spread in state["spread"].items()}
