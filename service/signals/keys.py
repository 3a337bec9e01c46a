"""The names of a user's keys in Redis. The text inside the braces decides the cluster's slot."""

from __future__ import annotations

import re
import unicodedata
import zlib
from dataclasses import dataclass
from urllib.parse import quote

from service.errors import InvalidInput

MAX_USER_ID = 128
"""Characters a user id may have."""

CHANGE_STREAMS = 16

_PLAIN = re.compile(r"[A-Za-z0-9._~-]+")
"""Ids that stand in a key as they are: most ids of most sites."""


@dataclass(frozen=True, slots=True)
class UserKeys:
    """A user's keys. All three carry the same hash tag, so a cluster holds them in one slot."""

    user: str
    """The percent-encoded user id, as it stands between the braces and in the streams."""
    signals: str
    lists: str
    tombstone: str
    changes: str
    """The stream that tells the refreshers about this user; it lies in a slot of its own."""


def user_keys(user_id: str) -> UserKeys:
    """The keys of a user. Raises `InvalidInput` for an id that is empty, too long or unprintable.

    Everything outside `A-Z a-z 0-9 - . _ ~` is percent-encoded (RFC 3986, over UTF-8), so neither
    braces nor a bare percent sign remain and no two ids share a key.
    """
    if not 1 <= len(user_id) <= MAX_USER_ID:
        raise InvalidInput(f"must have 1 to {MAX_USER_ID} characters", field="user_id")
    if _PLAIN.fullmatch(user_id):
        user = user_id
    elif any(unicodedata.category(letter) in ("Cc", "Cs") for letter in user_id):
        raise InvalidInput("must not hold control characters", field="user_id")
    else:
        user = quote(user_id, safe="")
    return _keys(user, change_stream(user))


def own_keys(tag: str) -> UserKeys:
    """Keys that belong to no user, under a tag that no percent-encoded id is."""
    return _keys(tag, f"changes:{{{tag}}}")


def _keys(user: str, changes: str) -> UserKeys:
    return UserKeys(
        user=user,
        signals=f"sig:{{{user}}}",
        lists=f"int:{{{user}}}",
        tombstone=f"tomb:{{{user}}}",
        changes=changes,
    )


def change_stream(user: str) -> str:
    """The stream of a percent-encoded user id: CRC-32 of its bytes, modulo the streams."""
    return f"changes:{{{zlib.crc32(user.encode()) % CHANGE_STREAMS}}}"
