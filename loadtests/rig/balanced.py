"""Several gateways asked at the same time, as behind a load balancer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from loadtests.local_gateway import HOST
from loadtests.rig.loops import Calls, Judge, Make, answered, closed_loop


async def closed_loops(
    ports: Sequence[int], make: Make, *, callers: int, seconds: float, judge: Judge = answered
) -> Calls:
    """So many callers in all, shared out over the servers on these ports of the loopback."""
    shares = shared_out(callers, len(ports))
    loops = [
        closed_loop(HOST, port, make, callers=share, seconds=seconds, judge=judge)
        for port, share in zip(ports, shares, strict=True)
        if share
    ]
    return together(await asyncio.gather(*loops))


def shared_out(callers: int, servers: int) -> list[int]:
    """How many callers each server has: as many as the others, or one more."""
    each, more = divmod(callers, servers)
    return [each + (number < more) for number in range(servers)]


def together(loops: Sequence[Calls]) -> Calls:
    """Loops that ran at the same time as one, in the order of the answers."""
    calls = [call for loop in loops for call in loop.calls]
    return Calls(max(loop.seconds for loop in loops), sorted(calls, key=lambda call: call.ended))
