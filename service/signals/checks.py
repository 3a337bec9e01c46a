"""Whether Redis does what requests need: their own scripts, on keys that belong to no user.

A PING would be answered by a replica that takes no writes, by a server that is full, and to a user
who may do nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.redis.running import Arg
from service.redis.scripts import Script
from service.signals import scripts
from service.signals.keys import UserKeys

Step = tuple[Script, list[str], list[Arg]]

_TOMBSTONE_S = 1
"""Redis knows no key that stands for no time."""


def trial(keys: UserKeys, at_ms: int) -> Iterator[Step]:
    """The scripts that requests run, so that each command in them is reached once.

    What is written goes at once, since nothing is kept of it; the tombstone goes after a second.
    `at_ms` is now; signal and list are later than any tombstone of a check a moment ago.
    """
    later = at_ms + 86_400_000
    yield scripts.APPEND, [keys.signals, keys.tombstone], [0, 1, later, f"{later} {{}}"]
    listed = f'{{"at":{later}}}'
    yield scripts.KEEP, [keys.lists, keys.tombstone], ["check", listed, later, 0, 1, 1]
    yield scripts.ANNOUNCE, [keys.changes], [1, 0, keys.user, 0]
    user = [keys.signals, keys.lists, keys.tombstone]
    yield scripts.DELETE, user, [_TOMBSTONE_S]
    yield scripts.GET, user, [1, 1]


def commands(keys: UserKeys) -> list[tuple[Any, ...]]:
    """What asks for each right by itself, and does no harm."""
    key = keys.signals
    return [
        ("PING",),
        ("TIME",),
        ("EVALSHA", "0" * 40, 0),
        ("EVAL", "return 1", 0),
        ("ZADD", key, "no score", "x"),
        ("ZRANGE", key, 0, 0),
        ("ZREVRANGE", key, 0, 0),
        ("ZCARD", key),
        ("ZREMRANGEBYRANK", key, 0, 0),
        ("TTL", key),
        ("EXPIRE", key, "no seconds"),
        ("DEL", key),
        ("GET", keys.tombstone),
        ("SET", keys.tombstone, "x", "no option"),
        ("HGET", keys.lists, "x"),
        ("HSET", keys.lists, "x", "y", "one too many"),
        ("HDEL", keys.lists, "x"),
        ("HLEN", keys.lists),
        ("HGETALL", keys.lists),
        ("XADD", keys.changes, "no id", "x", "y"),
        ("XTRIM", keys.changes, "no option", 0),
    ]
