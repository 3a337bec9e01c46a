"""From a user to a point, the same everywhere and for ever. Pure; docs/experiments.md has vectors.

The point of a user under a salt is the first 12 hexadecimal digits of the SHA-256 of
`salt:user` in UTF-8, modulo 10,000. SHA-256 is in every language and data warehouse, so that an
analysis can repeat an assignment, and points under different salts are independent of each other:
`docs/decisions/2026-11-28-the-hash-of-experiments.md` says why it is none of the known SDKs'.
"""

from __future__ import annotations

from hashlib import sha256

POINTS = 10_000
"""Points of a salt: shares are exact to a hundredth of a per cent."""


def point(salt: str, user_id: str) -> int:
    """The user's point under a salt, 0 to 9,999."""
    return point_of(prefix(salt), user_bytes(user_id))


def prefix(salt: str) -> bytes:
    """What stands before the user in the hashed text."""
    return f"{salt}:".encode()


def user_bytes(user_id: str) -> bytes:
    """The user as hashed text."""
    return user_id.encode("utf-8", "surrogatepass")


def point_of(before: bytes, user: bytes) -> int:
    """`point` of a `prefix` and `user_bytes`, which a request makes once for many points."""
    return int.from_bytes(sha256(before + user).digest()[:6], "big") % POINTS
