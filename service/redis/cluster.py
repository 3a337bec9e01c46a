"""A Redis Cluster: which node a call goes to, and what happens while nodes and slots move.

redis-py keeps the map of slots. Calls go to its nodes directly: its own redirections send `ASKING`
over another connection than the command, know no node that holds no slot yet, and repeat a
`TRYAGAIN` where single keys could still be read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MovedError,
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from service.redis.running import Arg, evaluate
from service.redis.scripts import GET_ALL, Script
from service.shared_work import SharedWork

_OPEN_S = 2.0
"""Longest that finding out a cluster's nodes may take, whoever waits for it."""
_DOWN_S = 1.0
"""How long a cluster's node that refused twice is left alone."""
_UNSERVED_S = 0.1
"""How long a slot that no node serves is waited for before the one further attempt."""
_TAGS = 64
"""Hash tags tried for each primary, to find one on each; a primary of few slots may have none."""


class Cluster:
    """A Redis Cluster.

    Its map of slots is fetched once for all who wait, and survives a caller's deadline. A primary
    that refuses twice is left alone for a second, so that the users it held cannot make the map be
    fetched over and over for everybody else. The nodes that the URL names are asked again where
    none of those found later answers: all of them may have new addresses. `reach` makes a client
    for a node by host and port.
    """

    def __init__(self, redis: RedisCluster, reach: Callable[[str, int], Redis]) -> None:
        self.redis = redis
        self._reach = reach
        self._opening: SharedWork[None] | None = None
        self._outdated = False
        self._down_until: dict[str, float] = {}
        self._fetched = 0.0
        self._named = dict(redis.nodes_manager.startup_nodes)
        self._sent_to: dict[tuple[str, int], Redis] = {}

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Run a script on the node that holds its keys.

        Once more if the connection was lost, the node has changed, or none served the slot. Raises
        `TryAgainError` while the slot moves and no node holds all of several keys.
        """
        try:
            return await self._attempt(script, keys, args)
        except AuthenticationError:
            raise
        except SlotNotCoveredError:
            if not self._doubt():
                raise
            return await self._attempt(script, keys, args)
        except ClusterDownError:
            await asyncio.sleep(_UNSERVED_S)
            return await self._attempt(script, keys, args)
        except RedisConnectionError:
            return await self._after_loss(script, keys, args)

    async def own_tags(self) -> Sequence[str]:
        """One on each primary."""
        await self._open()
        missing = {str(node.name) for node in self.redis.get_primaries()}
        found = []
        for number in range(_TAGS * len(missing)):
            tag = f"!{number}"
            with contextlib.suppress(SlotNotCoveredError):
                name = str(self._node(f"{{{tag}}}").name)
                if name in missing:
                    missing.remove(name)
                    found.append(tag)
            if not missing:
                break
        return found

    async def command(self, key: str, *words: Arg) -> Any:
        """Send a command to the node that holds the key."""
        await self._open()
        return await self._node(key).execute_command(*words)

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Each from the node that holds it, all under way together."""
        found = await asyncio.gather(*(self.run(GET_ALL, [key], []) for key in keys))
        return [value for values in found for value in values]

    async def aclose(self) -> None:
        """Close all connections."""
        if self._opening is not None:
            self._opening.task.cancel()
        await asyncio.gather(
            self.redis.aclose(), *(node.aclose() for node in self._sent_to.values())
        )

    async def _attempt(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        await self._open()
        node = self._node(keys[0])
        down_until = self._down_until.get(node.name)
        if down_until is not None:
            if asyncio.get_running_loop().time() < down_until:
                raise RedisConnectionError(f"{node.name} refused connections a moment ago")
            del self._down_until[node.name]
        try:
            return await evaluate(node, script, keys, args)
        except AskError as redirection:
            return await self._redirected(redirection, node.host, script, keys, args)

    async def _after_loss(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Once more after a lost connection, on a map fetched anew where the node is gone."""
        with contextlib.suppress(RedisError, SlotNotCoveredError):
            # redis-py forgets the connections of a node, and its map, when its own call fails.
            await self.redis.execute_command("PING", target_nodes=[self._node(keys[0])])
        try:
            return await self._attempt(script, keys, args)
        except RedisConnectionError:
            with contextlib.suppress(SlotNotCoveredError):
                until = asyncio.get_running_loop().time() + _DOWN_S
                self._down_until.setdefault(str(self._node(keys[0]).name), until)
            raise

    async def _redirected(
        self, there: AskError, host: str, script: Script, keys: Sequence[str], args: Sequence[Arg]
    ) -> Any:
        """Run a script where a node sends us; `host` is that node's, for a reply without one.

        That place may be one that the map, and the other nodes, do not know of yet. Where it does
        not answer, nobody serves the slot: the node that we were sent by is not to blame.
        """
        address = (there.host or host, there.port)
        if address not in self._sent_to:
            self._sent_to[address] = self._reach(*address)
        try:
            if isinstance(there, MovedError):
                self._doubt()
                return await evaluate(self._sent_to[address], script, keys, args)
            return await _ask(self._sent_to[address], script, keys, args)
        except AuthenticationError:
            raise
        except RedisConnectionError as error:
            raise ClusterDownError(f"the slot's other node: {error}") from error

    def _doubt(self) -> bool:
        """Have the map fetched before the next call, unless it was within the last second."""
        if asyncio.get_running_loop().time() >= self._fetched + _DOWN_S:
            self._outdated = True
        return self._outdated

    def _node(self, key: str) -> ClusterNode:
        """The primary of a key. Raises `SlotNotCoveredError` where the map has none."""
        node = self.redis.get_node_from_key(key)
        if node is None:
            raise SlotNotCoveredError(f"no node holds the slot of {key.partition(':')[0]}")
        return node

    async def _open(self) -> None:
        """Fetch the map of slots if there is none, or if something put it in doubt."""
        if self._opening is None or self._opening.done:
            self._opening = SharedWork(self._initialize(), ends_when_left=False)
        await self._opening.result()

    async def _initialize(self) -> None:
        await asyncio.sleep(0)  # what the call before has closed is closed by then
        try:
            async with asyncio.timeout(_OPEN_S):
                await self.redis.initialize()
                if self._outdated:
                    self._outdated = False
                    self._fetched = asyncio.get_running_loop().time()
                    await self.redis.nodes_manager.initialize()
        except TimeoutError as error:
            raise RedisConnectionError("no node told the cluster's layout in time") from error
        except IndexError as error:
            # What redis-py raises at nodes without slots, when it has forgotten whom to ask next.
            self.redis.nodes_manager.startup_nodes.update(self._named)
            raise ClusterDownError("no node has slots") from error
        except RedisClusterException as error:
            self.redis.nodes_manager.startup_nodes.update(self._named)
            # A node's own refusal tells more than that none was reachable.
            raise error.__cause__ or error from None


async def _ask(server: Redis, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
    """Run a script at the node that its slot is on its way to.

    `ASKING` counts for the next command of the same connection alone. So the script is sent whole,
    not by a name that the node may not know.
    """
    pipeline = server.pipeline(transaction=False)
    pipeline.execute_command("ASKING")
    pipeline.execute_command("EVAL", script.body, len(keys), *keys, *args)
    _, found = await pipeline.execute(raise_on_error=False)
    if isinstance(found, Exception):
        raise found
    return found
