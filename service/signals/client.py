"""Connections to Redis: a single server or a cluster, chosen by URL, behind one small interface.

redis-py's own retries and read timeouts are off: the store has one deadline per call, and a call
that is cancelled at it leaves a closed connection behind, never a reply for the next caller. What
remains to be repeated here is one attempt after a connection was lost, since a server that came
back is first met through sockets it no longer knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

from service.errors import ConfigurationError
from service.shared_work import SharedWork
from service.signals.scripts import Script
from service.tls import Tls

_SCHEMES = ("redis", "rediss", "redis-cluster", "rediss-cluster")
_PORT = 6379
_SPARE = 4
"""Connections beyond the pool's, for a cluster's own questions about its nodes."""
_OPEN_S = 2.0
"""Longest that finding out a cluster's nodes may take, whoever waits for it."""
_DOWN_S = 1.0
"""How long a cluster's node that refused twice is left alone."""

Arg = str | bytes | int | float


class RedisClient(Protocol):
    """What the store needs of Redis. Raises redis-py's errors; deadlines are the caller's."""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Run a script whose keys share a slot: one round trip once the server knows it."""
        ...

    async def ping(self) -> None:
        """Return if the server (every primary of a cluster) answers."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class SingleServer:
    """One Redis server."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Run a script; once more if the connection was lost."""
        try:
            return await _evaluate(self.redis, script, keys, args)
        except RedisConnectionError:
            return await _evaluate(self.redis, script, keys, args)

    async def ping(self) -> None:
        """PING."""
        await self.redis.ping()

    async def aclose(self) -> None:
        """Close all connections."""
        await self.redis.aclose()


class Cluster:
    """A Redis Cluster.

    Its map of slots is fetched once for all who wait, and survives a caller's deadline. A primary
    that refuses twice is left alone for a second, so that the users it held cannot make the map be
    fetched over and over for everybody else.
    """

    def __init__(self, redis: RedisCluster) -> None:
        self.redis = redis
        self._opening: SharedWork[None] | None = None
        self._down_until: dict[str, float] = {}

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Run a script on the node that holds its keys; once more if the connection was lost."""
        try:
            return await self._attempt(script, keys, args)
        except RedisConnectionError:
            try:
                return await self._attempt(script, keys, args)
            except RedisConnectionError:
                loop = asyncio.get_running_loop()
                self._down_until.setdefault(self._node(keys[0]), loop.time() + _DOWN_S)
                raise

    async def ping(self) -> None:
        """PING to every primary."""
        await self._open()
        await self.redis.execute_command("PING", target_nodes=RedisCluster.PRIMARIES)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._opening is not None:
            self._opening.task.cancel()
        await self.redis.aclose()

    async def _attempt(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        await self._open()
        node = self._node(keys[0])
        down_until = self._down_until.get(node)
        if down_until is not None:
            if asyncio.get_running_loop().time() < down_until:
                raise RedisConnectionError(f"{node} refused connections a moment ago")
            del self._down_until[node]
        return await _evaluate(self.redis, script, keys, args)

    def _node(self, key: str) -> str:
        node = self.redis.get_node_from_key(key)
        return "" if node is None else str(node.name)

    async def _open(self) -> None:
        """Fetch the map of slots if there is none, or if a lost connection put it in doubt."""
        if self._opening is None or self._opening.done:
            self._opening = SharedWork(self._initialize(), ends_when_left=False)
        await self._opening.result()

    async def _initialize(self) -> None:
        try:
            async with asyncio.timeout(_OPEN_S):
                await self.redis.initialize()
        except TimeoutError as error:
            raise RedisConnectionError("no node told the cluster's layout in time") from error


async def _evaluate(
    redis: Redis | RedisCluster, script: Script, keys: Sequence[str], args: Sequence[Arg]
) -> Any:
    try:
        return await redis.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
    except NoScriptError:
        # New or restarted: sent in full once, and known by name from then on.
        return await redis.execute_command("EVAL", script.body, len(keys), *keys, *args)


def connect(
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    tls: Tls | None = None,
    pool: int = 64,
) -> SingleServer | Cluster:
    """A client for `redis://`, `rediss://`, `redis-cluster://` or `rediss-cluster://` URLs.

    A cluster's URL may name several nodes, `redis-cluster://host:port,host:port`; a single
    server's may end in a database number. Name and password in the URL (percent-encoded) win over
    the arguments. `pool` bounds the connections to each node. Nothing is sent yet. Raises
    `ConfigurationError` naming the variable.
    """
    scheme, rest = _split(url)
    login, _, hosts = rest.netloc.rpartition("@")
    if login:
        name, _, word = login.partition(":")
        username, password = unquote(name) or username, unquote(word) or password
    addresses = [_address(host) for host in hosts.split(",")]
    cluster, uses_tls = scheme.endswith("-cluster"), scheme.startswith("rediss")
    common: dict[str, Any] = {
        "username": username,
        "password": password,
        "protocol": 2,
        "driver_info": None,
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": pool + _SPARE,
        **_tls_options(uses_tls, tls or Tls()),
    }
    database = rest.path.strip("/")
    if rest.query or rest.fragment or (database and (cluster or not database.isdecimal())):
        raise _invalid("ends after the hosts, or for a single server in /<database number>")
    if cluster:
        nodes = [ClusterNode(host, port) for host, port in addresses]
        # A cluster that lost a node still serves the users of the others.
        return Cluster(RedisCluster(startup_nodes=nodes, require_full_coverage=False, **common))
    if len(addresses) > 1:
        raise _invalid("names several hosts; for a cluster write redis-cluster://")
    host, port = addresses[0]
    return SingleServer(Redis(host=host, port=port, db=int(database or 0), **common))


def _split(url: str) -> tuple[str, Any]:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise _invalid(f"must start with one of {', '.join(f'{known}://' for known in _SCHEMES)}")
    try:
        return scheme, urlsplit(f"//{rest}")
    except ValueError as error:
        raise _invalid("has no readable host and port") from error


def _address(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid("has no readable host and port") from error
    if not host:
        raise _invalid("names no host")
    return host, _PORT if port is None else port


def _tls_options(uses_tls: bool, tls: Tls) -> dict[str, Any]:
    """redis-py makes the context by itself, out of these."""
    if not uses_tls:
        tls.refuse_any("needs a rediss:// URL")
        return {}
    tls.check()
    return {
        "ssl": True,
        "ssl_ca_certs": None if tls.ca_file is None else str(tls.ca_file),
        "ssl_certfile": None if tls.cert_file is None else str(tls.cert_file),
        "ssl_keyfile": None if tls.key_file is None else str(tls.key_file),
        "ssl_cert_reqs": "required" if tls.verify else "none",
        "ssl_check_hostname": tls.verify,
    }


def _invalid(problem: str) -> ConfigurationError:
    # The URL itself may hold a password, so the message never repeats it.
    return ConfigurationError(f"INTERESTS_REDIS_URL {problem}")
