"""Made-up experiments: users in memory, and folders of their events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from models.verdict.events import opened, sources
from models.verdict.users import Users, read_users
from tests.parts.events import DAY_MS, START_MS, exposure, feedback, placed, write_segment

KEY = "small-10"
HOUR_MS = 3_600_000


def read(folder: Path, key: str = KEY, day_ms: int = DAY_MS) -> Users:
    """The users of an experiment, from the events of a folder."""
    with opened(key, sources(folder)) as database:
        return read_users(database, day_ms, 500.0)


def write_experiment(
    folder: Path,
    users: Mapping[str, int],
    *,
    rates: Mapping[str, float],
    days: int = 2,
    form: Literal["parquet", "jsonl"] = "parquet",
    key: str = KEY,
    **more: Any,
) -> Path:
    """A segment a day: an answer a day to each user, ten articles shown, clicks at the arm's rate.

    `more` goes into every exposure.
    """
    random = np.random.default_rng(7)
    for day in range(days):
        answers, told = [], []
        for arm, count in users.items():
            for number in range(count):
                at_ms = START_MS + day * DAY_MS + number * 1_000
                request = f"{arm}-{number}-{day}"
                answer = exposure(
                    request, f"{arm}-{number}", at_ms, placed(key, arm), candidates=10, **more
                )
                answers.append(answer)
                for article in range(10):
                    told.append(feedback(answer, "impression", f"article-{article}"))
                    if random.random() < rates[arm]:
                        told.append(feedback(answer, "click", f"article-{article}"))
        write_segment(folder, answers, told, first_ms=START_MS + day * DAY_MS, form=form)
    return folder
