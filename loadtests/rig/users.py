"""Users for load tests: the demo's signals dealt to as many users as are wanted, or reworded."""

from __future__ import annotations

import itertools
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from models.demo.users import demo_users
from service.records import Signal

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_OF_A_READER = range(20, 61)


def dealt(users: int, signals: int) -> dict[str, list[Signal]]:
    """So many signals for each of so many users, an hour apart, in the demo's order."""
    pool = itertools.cycle(signal for user in demo_users() for signal in user.signals)
    now = int(time.time() * 1000)
    return {
        f"user-{number:07}": [
            Signal(now - step * _HOUR_MS, one.domain, one.text, f"{number:07}-{step:04}", one.item)
            for step, one in enumerate(itertools.islice(pool, signals))
        ]
        for number in range(users)
    }


def reworded(users: int, signals: int, seed: int = 1) -> Iterator[tuple[str, list[Signal]]]:
    """Users whose texts no other has: those of the demo's readers in other words of theirs.

    A word becomes the same other word wherever one user says it, so texts are as long and repeat
    as they do there. A minute apart, the newest first. Readers are those with as many signals as
    most have; others stand for special cases, such as texts of thousands of letters.
    """
    readers = [user for user in demo_users() if len(user.signals) in _OF_A_READER]
    pool = itertools.cycle(signal for user in readers for signal in user.signals)
    words = [word for user in readers for one in user.signals for word in one.text.split()]
    rng, now = random.Random(seed), int(time.time() * 1000)
    for number in range(users):
        said = defaultdict[str, str](lambda: rng.choice(words))
        yield (
            f"user-{number:07}",
            [
                Signal(
                    now - (step + 1) * _MINUTE_MS,
                    one.domain,
                    " ".join([said[word] for word in one.text.split()]),
                    f"{number:07}-{step:04}",
                )
                for step, one in enumerate(itertools.islice(pool, signals))
            ],
        )


def write(users: Mapping[str, Sequence[Signal]], path: Path) -> None:
    """The file that `interests signals load` reads."""
    with path.open("wb") as file:
        for user, signals in users.items():
            for one in signals:
                row = {"user_id": user, "at": one.at_ms, "domain": one.domain, "text": one.text}
                row |= {"id": one.id} | ({"item": one.item} if one.item else {})
                file.write(orjson.dumps(row) + b"\n")


def inline(signals: Sequence[Signal]) -> list[dict[str, str]]:
    """Signals as a request's body holds them."""
    return [
        {
            "at": datetime.fromtimestamp(one.at_ms / 1000, UTC).isoformat(),
            "domain": str(one.domain),
            "text": one.text,
            "id": one.id,
        }
        for one in signals
    ]
