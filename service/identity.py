"""Request ids that can be checked without a look-up, and user ids that can be logged."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

_USER_BYTES = 8
_BODY = struct.Struct(f">III{_USER_BYTES}s")
"""Seconds since the epoch, process, sequence, user hash."""
_MAC_BYTES = 8


@dataclass(frozen=True, slots=True)
class RequestName:
    """What a request id says: when it was made, by which process, and its number there."""

    at_s: int
    process: int
    sequence: int


class Identity:
    """Signs request ids and hashes user ids with the newest secret; those of older ones are valid.

    A request id is `base64url(time ‖ process ‖ sequence ‖ user hash ‖ HMAC-SHA256[:8])`: 38
    characters. Sequence numbers of one process have no gaps, so an export shows what was lost.
    """

    def __init__(self, *given: bytes) -> None:
        """`given`: the secrets, the newest first; without any there is one that nobody knows."""
        self._keys = _keys(given or (secrets.token_bytes(32),))
        self.process = int.from_bytes(os.urandom(4), "big")
        """The number of this process in its request ids."""
        self.sequence = 0
        """The first number that no request id has yet."""

    def replace(self, given: Sequence[bytes]) -> None:
        """From now on these are the secrets, the newest first: at least one."""
        self._keys = _keys(given)

    def user_hash(self, user_id: str) -> str:
        """A keyed hash of the user id, 16 hex characters: what logs may hold."""
        return _user(self._keys[0], user_id).hex()

    def request_id(self, user_id: str) -> str:
        """A new signed request id for this user."""
        key = self._keys[0]
        body = _BODY.pack(int(time.time()), self.process, self.sequence, _user(key, user_id))
        self.sequence = (self.sequence + 1) & 0xFFFFFFFF
        return _text(body + _mac(key, body))

    def verified(self, request_id: str, user_id: str) -> RequestName | None:
        """What an id says that a holder of one of the secrets gave out for this user; else None."""
        raw = _raw(request_id)
        if raw is None:
            return None
        body, mac = raw[: _BODY.size], raw[_BODY.size :]
        user = body[-_USER_BYTES:]
        for key in self._keys:
            is_ours = hmac.compare_digest(mac, _mac(key, body))
            is_users = hmac.compare_digest(user, _user(key, user_id))
            if is_ours and is_users:
                return RequestName(*_BODY.unpack(body)[:3])
        return None


def named(request_id: str) -> RequestName:
    """What an id says, whoever made it. Raises `ValueError` for what is no request id."""
    raw = _raw(request_id)
    if raw is None:
        raise ValueError("no request id")
    return RequestName(*_BODY.unpack(raw[: _BODY.size])[:3])


def _raw(request_id: str) -> bytes | None:
    """The bytes of an id; None for what cannot be one, or is not written as we write it."""
    try:
        raw = base64.urlsafe_b64decode(request_id + "=" * (-len(request_id) % 4))
    except ValueError:
        return None
    # Several spellings mean the same bytes; events are joined by the one that was given out.
    return raw if len(raw) == _BODY.size + _MAC_BYTES and _text(raw) == request_id else None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _keys(given: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(secret).digest() for secret in given)


@lru_cache(1_000)
def _user(key: bytes, user_id: str) -> bytes:
    return hmac.digest(key, b"user:" + user_id.encode(), "sha256")[:_USER_BYTES]


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"request:" + body, "sha256")[:_MAC_BYTES]
