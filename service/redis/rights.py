"""Which rights Redis denies, asked for by commands that do no harm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from redis.exceptions import ResponseError

from service.redis.client import RedisClient
from service.redis.faults import fault_of
from service.redis.running import Arg


async def missing_rights(
    client: RedisClient, key: str, commands: Iterable[Sequence[Arg]]
) -> list[str]:
    """The rights, as ACL rules, that Redis denies for these commands, on the server of `key`.

    Most commands are best not even valid, which Redis finds out after it has looked at the rights.
    Raises redis-py's errors.
    """
    missing = []
    for words in commands:
        try:
            await client.command(key, *words)
        except ResponseError as error:
            if fault_of(error).kind != "NOPERM":
                continue
            # Redis 6.2 and 7 word it differently, but speak of a command or of a key.
            if "command" in str(error):
                missing.append(f"+{str(words[0]).lower()}")
            else:
                missing.append("~" + str(words[1]).partition("{")[0] + "*")
    return list(dict.fromkeys(missing))
