"""Which replica serves a user. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from hashlib import blake2b

from service.generation.engines.endpoints import Endpoint, T

_BOUND = 1.25


def pick(
    endpoints: Sequence[Endpoint[T]], affinity: str, avoid: Collection[Endpoint[T]] = ()
) -> Endpoint[T] | None:
    """The endpoint for a user: always the same one, unless it is overloaded or out of service.

    Rendezvous hashing (Thaler and Ravishankar, 1998), so that a replica that comes or goes moves
    only its own users; with bounded load (Mirrokni, Thorup and Zadimoghaddam, 2018): one that
    would get more than 1.25 times its share gives way to the least loaded. A replica's share of
    all calls is its share of all room, and load is counted by room. None if there is none.
    """
    able = [endpoint for endpoint in endpoints if endpoint.is_up and endpoint not in avoid]
    if len(able) <= 1:
        return able[0] if able else None
    favourite = max(able, key=lambda endpoint: _score(affinity, endpoint.url))
    total = sum(endpoint.lane.outstanding for endpoint in able)
    rooms = sum(endpoint.lane.room.calls for endpoint in able)
    share = _BOUND * (total + 1) * favourite.lane.room.calls / rooms
    if favourite.lane.outstanding + 1 <= math.ceil(share):
        return favourite
    return min(able, key=lambda e: (e.lane.outstanding + 1) / e.lane.room.calls)


def _score(affinity: str, url: str) -> bytes:
    return blake2b(f"{affinity}\n{url}".encode(errors="surrogatepass"), digest_size=8).digest()
