"""What `interests doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass

PART_S = 5.0
"""Time that a part is given to answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part; `remedy` is empty when it is fine."""

    part: str
    says: str
    remedy: str = ""
