"""Running a script, wherever: by its name, and in full where the server does not know it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from redis.exceptions import NoScriptError

from service.redis.scripts import Script

Arg = str | bytes | int | float


class Executor(Protocol):
    """A connection pool of redis-py's: a server's, or that of a cluster's node."""

    async def execute_command(self, *args: Any) -> Any:
        """Send a command and return its reply, or raise redis-py's error."""
        ...


async def evaluate(
    server: Executor, script: Script, keys: Sequence[str], args: Sequence[Arg]
) -> Any:
    """The script's answer. Raises redis-py's errors."""
    try:
        return await server.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
    except NoScriptError:
        # New, restarted or flushed: sent in full once, and known by name from then on.
        return await server.execute_command("EVAL", script.body, len(keys), *keys, *args)
