"""The page of the rewards names them all, with the weights that they have."""

from __future__ import annotations

import re
from pathlib import Path

from models.rewards.terms import REWARDS

PAGE = Path(__file__).parents[4] / "docs" / "rewards.md"


def test_the_table_of_the_page_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", PAGE.read_text(), re.M)
    assert [(name, float(weight)) for name, weight in rows] == [
        (reward.name, reward.weight) for reward in REWARDS.values()
    ]
