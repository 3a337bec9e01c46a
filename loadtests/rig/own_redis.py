"""A Redis of a script's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from service.errors import ConfigurationError


@contextmanager
def own_redis(folder: Path) -> Iterator[redis.Redis]:
    """A Redis of this run's own, empty. Raises `ConfigurationError` where it does not start."""
    children, port = Children(folder / "logs"), free_port()
    given = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    children.start("redis", [redis_server(), *given])
    client = redis.Redis(port=port)
    try:
        until = time.monotonic() + 20
        while True:
            children.check()
            try:
                client.ping()
                break
            except redis.ConnectionError as error:
                if time.monotonic() > until:
                    raise ConfigurationError(f"redis did not start: {error}") from error
                time.sleep(0.05)
        yield client
    finally:
        client.close()
        children.stop()
