"""Room shared out fairly between callers: max-min shares. Pure.

Whoever wants no more than an equal part gets what it wants; what these leave is shared out among
the others in the same way (Bertsekas and Gallager, "Data Networks", 1992, section 6.5.2). So a
caller that floods takes nothing from one that asks little.
"""

from __future__ import annotations

from collections.abc import Mapping


def max_min_shares(room: float, wants: Mapping[str, float]) -> dict[str, float]:
    """What each caller gets of `room`: never more than it wants, and all of the room if wanted."""
    shares: dict[str, float] = {}
    left = room
    for place, name in enumerate(sorted(wants, key=lambda name: wants[name])):
        shares[name] = min(wants[name], left / (len(wants) - place))
        left -= shares[name]
    return shares
