"""Request ids that can be checked without a look-up, and user ids that can be logged."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import os
import secrets
import struct
import time
from collections.abc import Iterable, Sequence

_BODY = struct.Struct(">IIIQ")  # seconds since the epoch, process, sequence, user hash
_MAC_BYTES = 8


class Identity:
    """Signs request ids and hashes user ids with the newest secret; those of older ones are valid.

    A request id is `base64url(time ‖ process ‖ sequence ‖ user hash ‖ HMAC-SHA256[:8])`: 38
    characters. Sequence numbers of one process have no gaps, so an export shows what was lost.
    """

    def __init__(self, *given: bytes) -> None:
        """`given`: the secrets, the newest first; without any there is one that nobody knows."""
        self._keys = _keys(given or (secrets.token_bytes(32),))
        self._process = int.from_bytes(os.urandom(4), "big")
        self._sequence = itertools.count()

    def replace(self, given: Sequence[bytes]) -> None:
        """From now on these are the secrets, the newest first: at least one."""
        self._keys = _keys(given)

    def user_hash(self, user_id: str) -> str:
        """A keyed hash of the user id, 16 hex characters: what logs may hold."""
        return f"{_user(self._keys[0], user_id):016x}"

    def request_id(self, user_id: str) -> str:
        """A new signed request id for this user."""
        key = self._keys[0]
        sequence = next(self._sequence) & 0xFFFFFFFF
        body = _BODY.pack(int(time.time()), self._process, sequence, _user(key, user_id))
        return base64.urlsafe_b64encode(body + _mac(key, body)).decode().rstrip("=")

    def verify(self, request_id: str, user_id: str) -> bool:
        """Whether this id was given out by a holder of one of the secrets, for this user."""
        try:
            raw = base64.urlsafe_b64decode(request_id + "=" * (-len(request_id) % 4))
        except ValueError:
            return False
        if len(raw) != _BODY.size + _MAC_BYTES:
            return False
        body, mac = raw[: _BODY.size], raw[_BODY.size :]
        return any(
            hmac.compare_digest(mac, _mac(key, body))
            and _BODY.unpack(body)[3] == _user(key, user_id)
            for key in self._keys
        )


def _keys(given: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(secret).digest() for secret in given)


def _user(key: bytes, user_id: str) -> int:
    digest = hmac.digest(key, b"user:" + user_id.encode(), "sha256")
    return int.from_bytes(digest[:8], "big")


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"request:" + body, "sha256")[:_MAC_BYTES]
