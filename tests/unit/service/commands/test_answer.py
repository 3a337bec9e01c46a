"""An answer for human eyes says which arms its user was in, and what was served instead."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from service.commands.answer import print_answer

ANSWER: dict[str, Any] = {
    "user_id": "maya",
    "experiments": [],
    "student": {"name": "small", "version": "9"},
    "source": {"queries": "fresh", "candidates": "search"},
    "degraded": [],
    "queries": [],
    "candidates": [],
    "timings_ms": dict.fromkeys(("signals", "generate", "retrieve", "fuse", "total"), 1.0),
}


@pytest.mark.parametrize(
    ("served", "told"),
    [("other", "experiments e: other"), ("queries:stale", "e: other (served queries:stale)")],
)
def test_a_users_arms_are_shown(served: str, told: str) -> None:
    place = {"key": "e", "layer": "l", "assigned": "other", "served": served, "reason": None}
    shown = io.StringIO()
    print_answer(Console(file=shown, width=200), {**ANSWER, "experiments": [place]})
    first, _ = shown.getvalue().split("\n", 1)
    assert told in first
    assert ("(served" in first) == (served != "other")


def test_without_experiments_nothing_is_said_of_them() -> None:
    shown = io.StringIO()
    print_answer(Console(file=shown, width=200), ANSWER)
    assert "experiments" not in shown.getvalue()
