"""Connections to Redis: a single server or a cluster, chosen by URL, behind one small interface.

redis-py's own retries and read timeouts are off: the store has one deadline per call, and a call
that is cancelled at it leaves a closed connection behind, never a reply for the next caller. What
remains to be repeated here is one attempt after a connection was lost, since a server that came
back is first met through sockets it no longer knows, and one after a replica refused, since the
primary is met through sockets that are yet to be opened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from service.errors import ConfigurationError
from service.redis.cluster import Cluster
from service.redis.faults import fault_of, is_replica
from service.redis.running import Arg, Executor, evaluate
from service.redis.scripts import GET_ALL, Script
from service.tls import Tls

log = logging.getLogger(__name__)
# A command says itself what failed: without a handler of its own Python would say it, too.
log.addHandler(logging.NullHandler())

_SCHEMES = ("redis", "rediss", "redis-cluster", "rediss-cluster")
_PORT = 6379
_SPARE = 16
"""Connections beyond the pool's: for events, for experiments, and for a cluster's own questions
about its nodes."""
_REPLICA_S = 0.5
"""How long a server that is a replica on a new connection, too, is taken for one."""


class RedisClient(Protocol):
    """What the store needs of Redis. Raises redis-py's errors; deadlines are the caller's."""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Run a script whose keys share a slot: one round trip once the server knows it."""
        ...

    async def own_tags(self) -> Sequence[str]:
        """Hash tags that are nobody's, for checks: one on each server that holds keys.

        They begin with `!`, which no percent-encoded id holds.
        """
        ...

    async def command(self, key: str, *words: Arg) -> Any:
        """Send a command as it is to the server that holds the key."""
        ...

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """The values of keys in whatever slots; None where there is none, or one of another type.

        Each is read by itself: in between, others may change.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class SingleServer:
    """One Redis server, at an address behind which another one may stand tomorrow.

    After a failover by a moved address (DNS, a virtual IP) the old connections still lead to the
    old server, now a replica. So a call that a replica refused is tried on a new connection, and
    where that one works all calls go on over new connections; the old ones are closed as the last
    call on them ends. `make` makes a client without connections.
    """

    def __init__(self, make: Callable[[], Redis]) -> None:
        self._make = make
        self._pool = _Pool(make())
        self._moving = asyncio.Lock()
        self._replica_until = 0.0

    @property
    def redis(self) -> Redis:
        """The client that new calls use."""
        return self._pool.redis

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Run a script; once more if the connection was lost, or led to a replica."""
        pool = self._pool
        try:
            try:
                return await self._attempt(pool, script, keys, args)
            except AuthenticationError:
                raise
            except RedisConnectionError:
                pool = self._pool
                return await self._attempt(pool, script, keys, args)
        except RedisError as refusal:
            if not is_replica(refusal):
                raise
            return await self._elsewhere(pool, refusal, script, keys, args)

    async def own_tags(self) -> Sequence[str]:
        """One: its only server's."""
        return ["!0"]

    async def command(self, key: str, *words: Arg) -> Any:
        """Send a command; `key` decides nothing here."""
        server: Executor = self.redis
        return await server.execute_command(*words)

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """All at once."""
        found: list[bytes | None] = await self.run(GET_ALL, keys, []) if keys else []
        return found

    async def aclose(self) -> None:
        """Close all connections."""
        await self.redis.aclose()

    async def _attempt(
        self, pool: _Pool, script: Script, keys: Sequence[str], args: Sequence[Arg]
    ) -> Any:
        pool.calls += 1
        try:
            return await evaluate(pool.redis, script, keys, args)
        finally:
            pool.calls -= 1
            if pool is not self._pool and not pool.calls:
                await pool.redis.aclose()

    async def _elsewhere(
        self,
        pool: _Pool,
        refusal: RedisError,
        script: Script,
        keys: Sequence[str],
        args: Sequence[Arg],
    ) -> Any:
        """Once more on a new connection; where that works, it is where all go on.

        Where it leads to a replica again, the others don't look for half a second: a Redis that
        stays read-only must not cost a connection for each write.
        """
        async with self._moving:
            if pool is self._pool:
                loop = asyncio.get_running_loop()
                if loop.time() < self._replica_until:
                    raise refusal
                fresh = _Pool(self._make())
                self._replica_until = loop.time() + _REPLICA_S
                try:
                    found = await evaluate(fresh.redis, script, keys, args)
                except BaseException:
                    self._replica_until = loop.time() + _REPLICA_S
                    await fresh.redis.aclose()
                    raise
                self._pool = fresh
                log.warning(
                    "Redis was a replica (%s); another server stands at its address now, and all"
                    " go on over new connections",
                    fault_of(refusal).kind,
                )
                if not pool.calls:
                    await pool.redis.aclose()
                return found
        return await self._attempt(self._pool, script, keys, args)


@dataclass(slots=True, eq=False)
class _Pool:
    """A client with its connections, and how many calls use them now."""

    redis: Redis
    calls: int = 0


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
    is_cluster, uses_tls = scheme.endswith("-cluster"), scheme.startswith("rediss")
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
    if rest.query or rest.fragment or (database and (is_cluster or not database.isdecimal())):
        raise _invalid("ends after the hosts, or for a single server in /<database number>")
    if is_cluster:
        nodes = [ClusterNode(host, port) for host, port in addresses]
        # A cluster that lost a node still serves the users of the others.
        cluster = RedisCluster(startup_nodes=nodes, require_full_coverage=False, **common)
        return Cluster(cluster, lambda host, port: Redis(host=host, port=port, **common))
    if len(addresses) > 1:
        raise _invalid("names several hosts; for a cluster write redis-cluster://")
    host, port = addresses[0]
    number = int(database or 0)
    return SingleServer(lambda: Redis(host=host, port=port, db=number, **common))


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
