"""`interests serve`: the gateway."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn

from service.addresses import authority, family_of
from service.api.sockets import bounded, connections_of, raise_file_limit
from service.api.starting import Starting
from service.errors import ConfigurationError
from service.libraries import models_built_when_used
from service.logs import configure_logging
from service.settings import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)

_PORT, _OPERATIONS_PORT = "INTERESTS_PORT", "INTERESTS_OPERATIONS_PORT"
_YOUNG = 20_000
"""Objects made and not freed between two looks of the garbage collector. Requests leave few cycles:
over 3,000 of them, it stops all others for 14 ms together, in 3 pauses; for 790 ms by Python's own
threshold, and for 1,180 ms where nothing is frozen (`python -m loadtests.collector`)."""
_BACKLOG = 2048
"""Connections that may wait to be accepted."""


class DrainingServer(uvicorn.Server):
    """uvicorn with our own start and end.

    It accepts at once, and opens the application meanwhile. At its end it is unready first, still
    accepting for a while: a load balancer learns of `/readyz` turning 503 only at its next look,
    and a process that stopped accepting at once would fail the calls sent to it until then.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        starting: Starting,
        drain_delay_s: float,
        settings_of: Mapping[int, str],
    ) -> None:
        """`starting`: what the configuration serves. `settings_of`: for each socket's file number,
        the setting that its port is from."""
        super().__init__(config)
        self.failure: Exception | None = None
        """Why the application could not be opened."""
        self._starting = starting
        self._settings_of = settings_of
        self._drain_delay_s = drain_delay_s
        self._draining: asyncio.Task[None] | None = None
        self._living: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT; a second one ends at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept, and begin to open the application. By now signals are taken: who is let in is
        not cut off.

        Raises `ConfigurationError` where another process has begun to listen there meanwhile.
        """
        addresses = [_listen(one, self._settings_of[one.fileno()]) for one in sockets or ()]
        await super().startup(sockets)
        self._living = asyncio.create_task(self._live(addresses), name="application")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the last requests end, then close the application."""
        await super().shutdown(sockets)
        if self._living is not None and not self.force_exit:
            self._ending.set()
            await self._living

    async def _live(self, addresses: Sequence[tuple[str, int]]) -> None:
        try:
            async with self._starting.opened():
                spare_the_collector()
                self._starting.take_requests()
                for host, port in addresses:
                    log.info("listening", extra={"fields": {"host": host, "port": port}})
                await self._ending.wait()
        except Exception as error:
            self.failure = error
            logging.getLogger("uvicorn").setLevel(logging.ERROR)  # what is wrong is said alone
            self.should_exit = self.force_exit = True

    def _on_signal(self) -> None:
        if self._draining is not None:
            self.should_exit = self.force_exit = True
            return
        if self._starting.app is not None:
            self._starting.app.state.context.readiness.draining = True
            log.info("draining", extra={"fields": {"drain_delay_s": self._drain_delay_s}})
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        if self._starting.app is not None:
            await asyncio.sleep(self._drain_delay_s)
        await self._starting.settled.wait()  # what is being opened is closed when it is open
        self.should_exit = True


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Serve the gateway until SIGTERM or Ctrl-C; all other settings come from the environment."""
    gc.disable()  # until `spare_the_collector`: what is built meanwhile stays
    given = {"host": host, "port": port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    bound = {_bind(settings.host, settings.port, _PORT): _PORT}
    if settings.operations_port is not None:
        operations = _bind(settings.host, settings.operations_port, _OPERATIONS_PORT)
        bound[operations] = _OPERATIONS_PORT
    connections = settings.max_connections or connections_of(raise_file_limit())
    starting = Starting(partial(_build, settings))
    config = uvicorn.Config(
        starting,
        http=bounded(settings.head_timeout_s, connections),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=30,
    )
    settings_of = {one.fileno(): setting for one, setting in bound.items()}
    server = DrainingServer(config, starting, settings.drain_delay_s, settings_of)
    server.run(sockets=list(bound))
    if server.failure is not None:
        raise server.failure


def _build(settings: Settings) -> FastAPI:
    """Import what serves, and compose it. Raises `ConfigurationError`."""
    # It reads the machine's certificates, which takes as long as a tenth of all imports, and lets
    # others work meanwhile.
    Thread(target=import_module, args=("aiohttp",), daemon=True).start()
    with models_built_when_used():
        import fastapi.applications
        import fastapi.openapi.utils  # noqa: F401
    from service.app import create_app
    from service.wiring import open_tracing

    tracing = open_tracing(settings)
    configure_logging(settings.log_level, tracing.trace_id)
    return create_app(settings, tracing=tracing)


def spare_the_collector() -> None:
    """Have the garbage collector look at nothing that was built up to here: it stays."""
    # Not collected first: that takes as long as a tenth of the start, and finds one in a hundred.
    gc.freeze()
    gc.set_threshold(_YOUNG)
    gc.enable()


def _bind(host: str, port: int, setting: str) -> socket.socket:
    """A socket with this address that does not listen yet. Raises `ConfigurationError`."""
    bound = socket.socket(family_of(host), socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise _cannot_listen(host, port, setting, error) from error
    return bound


def _listen(bound: socket.socket, setting: str) -> tuple[str, int]:
    """Let connections come in; at which address."""
    host, port = bound.getsockname()[:2]
    try:
        bound.listen(_BACKLOG)
    except OSError as error:
        raise _cannot_listen(host, port, setting, error) from error
    return host, port


def _cannot_listen(host: str, port: int, setting: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"cannot listen on {authority(host, port)}: {error.strerror}; "
        f"choose another {setting} or INTERESTS_HOST"
    )
