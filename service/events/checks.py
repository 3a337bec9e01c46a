"""Whether Redis does what events need: their own scripts, on keys that are of no process or user.

The signal store has the same for its own (`service/signals/checks.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from service.events.streams import (
    ADD,
    ERASE,
    TAKE,
    TRIM,
    batch_key,
    seen_key,
    stream_key,
    user_keys,
)
from service.redis.running import Arg
from service.redis.scripts import Script

_USER = "check"
_SECONDS = 1
"""Redis knows no key that stands for no time."""
_DAY_MS = 86_400_000


def trial(tag: str, at_ms: int) -> Iterator[tuple[Script, list[str], list[Arg]]]:
    """The scripts that events need, so that each command in them is reached once.

    `tag`: one that is nobody's. `at_ms` is now; what is written is later than the deletion of a
    check a moment ago, and stands for a second.
    """
    stream, later = stream_key(tag), at_ms + _DAY_MS
    user = user_keys(tag, _USER)
    kept = [1, _SECONDS]
    yield ADD, [stream, batch_key(tag, 0), *user], [*kept, at_ms, "e", "{}", later, 3]
    yield TAKE, [stream, seen_key(tag, 0), *user], [*kept, 2, at_ms, "{}", later, 3]
    yield ERASE, [stream, *user], [_SECONDS]
    yield TRIM, [stream], [_SECONDS]


def commands(tag: str) -> list[list[Arg]]:
    """What asks for each right by itself. What two of them leave goes with the next or expires."""
    stream, seen = stream_key(tag), seen_key(tag, 0)
    trail, gone = user_keys(tag, _USER)
    return [
        ["TIME"],
        ["EVALSHA", "0" * 40, 0],
        ["EVAL", "return 1", 0],
        ["XADD", stream, "no id", "x", "y"],
        ["XTRIM", stream, "no option", 0],
        ["XDEL", stream, "no id"],
        ["RPUSH", trail, "0-0"],
        ["EXPIRE", trail, _SECONDS],
        ["LINDEX", trail, 0],
        ["LPOP", trail],
        ["SADD", seen, "x"],
        ["EXPIRE", seen, _SECONDS],
        ["SISMEMBER", seen, "x"],
        ["GET", gone],
        ["SET", gone, "x", "no option"],
        ["SET", batch_key(tag, 0), "x", "no option"],
        ["EXPIRE", stream, _SECONDS],  # where a script of the trial was refused half-way
    ]
