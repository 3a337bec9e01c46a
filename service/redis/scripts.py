"""Lua that Redis runs for us. Each room keeps its own scripts; this is what they are made of.

Scripts, not MULTI: what they write depends on what they read, and a cluster runs them as they are
as long as their keys share a slot. They stay within Redis 6.2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name that EVALSHA knows it by."""

    body: str
    sha: str


def script(body: str) -> Script:
    """A script of this text."""
    # Redis itself names scripts by SHA-1; nothing is secured by it.
    return Script(body, hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest())


GET_ALL = script("return redis.call('MGET', unpack(KEYS))")
"""The values of some hundred keys; nil where there is none, or one of another type."""
