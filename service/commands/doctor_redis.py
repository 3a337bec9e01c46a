"""What `interests doctor` says of a Redis that answers: its memory."""

from __future__ import annotations

import asyncio

from redis.exceptions import ResponseError

from service import wiring
from service.commands.findings import PART_S, Finding
from service.errors import SignalsUnavailable
from service.redis.faults import fault_of
from service.settings import Settings
from service.signals.codec import MEMBER_BYTES


async def memory_findings(settings: Settings) -> list[Finding]:
    """What happens to users when Redis is full, and whether they take less than they might."""
    return [*await _eviction(settings), *await _packing(settings)]


async def _eviction(settings: Settings) -> list[Finding]:
    """Whether Redis removes tombstones when it is full; nothing where it does not answer."""
    store = wiring.open_store(settings)
    try:
        policy = await store.evicts(asyncio.get_running_loop().time() + PART_S)
    except SignalsUnavailable as error:
        if isinstance(error.__cause__, ResponseError):
            unknown = "what happens when it is full cannot be read: its user lacks +info"
            return [Finding("redis memory", unknown)]
        return []
    finally:
        await store.close()
    if not policy:
        return [Finding("redis memory", "removes nothing that it was told to keep")]
    return [
        Finding(
            "redis memory",
            f"when it is full it removes keys ({policy}), tombstones too: what deleted users did"
            " before is then stored again if it is sent again",
            "set maxmemory-policy noeviction in Redis",
        )
    ]


async def _packing(settings: Settings) -> list[Finding]:
    """Whether Redis keeps users in half the memory; nothing to mend, as some Redis are hired."""
    store = wiring.open_store(settings)
    try:
        packed = await store.packs(asyncio.get_running_loop().time() + PART_S)
    except SignalsUnavailable as error:
        if error.__cause__ is not None and fault_of(error.__cause__).kind == "NOPERM":
            unknown = "whether users are packed cannot be read: its user lacks +object"
            return [Finding("redis packing", unknown)]
        return []
    finally:
        await store.close()
    if packed:
        return [Finding("redis packing", "keeps users packed")]
    return [
        Finding(
            "redis packing",
            "keeps users in twice the memory that they need; in Redis set"
            f" zset-max-ziplist-entries {2 * settings.signals_kept} or more,"
            f" zset-max-ziplist-value {MEMBER_BYTES} and hash-max-ziplist-value 1024, and"
            " restart it",
        )
    ]
