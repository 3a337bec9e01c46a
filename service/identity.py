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

_BODY = struct.Struct(">IIIQ")  # seconds since the epoch, process, sequence, user hash
_MAC_BYTES = 8


class Identity:
    """Signs request ids and hashes user ids with one secret.

    A request id is `base64url(time ‖ process ‖ sequence ‖ user hash ‖ HMAC-SHA256[:8])`: 38
    characters. Sequence numbers of one process have no gaps, so an export shows what was lost.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._key = hashlib.sha256(secret or secrets.token_bytes(32)).digest()
        self._process = int.from_bytes(os.urandom(4), "big")
        self._sequence = itertools.count()

    def user_hash(self, user_id: str) -> str:
        """A keyed hash of the user id, 16 hex characters: what logs may hold."""
        return f"{self._user(user_id):016x}"

    def request_id(self, user_id: str) -> str:
        """A new signed request id for this user."""
        sequence = next(self._sequence) & 0xFFFFFFFF
        body = _BODY.pack(int(time.time()), self._process, sequence, self._user(user_id))
        return base64.urlsafe_b64encode(body + self._mac(body)).decode().rstrip("=")

    def verify(self, request_id: str, user_id: str) -> bool:
        """Whether this id was given out by a holder of the secret, for this user."""
        try:
            raw = base64.urlsafe_b64decode(request_id + "=" * (-len(request_id) % 4))
        except ValueError:
            return False
        if len(raw) != _BODY.size + _MAC_BYTES:
            return False
        body, mac = raw[: _BODY.size], raw[_BODY.size :]
        if not hmac.compare_digest(mac, self._mac(body)):
            return False
        return bool(_BODY.unpack(body)[3] == self._user(user_id))

    def _user(self, user_id: str) -> int:
        digest = hmac.digest(self._key, b"user:" + user_id.encode(), "sha256")
        return int.from_bytes(digest[:8], "big")

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, b"request:" + body, "sha256")[:_MAC_BYTES]
