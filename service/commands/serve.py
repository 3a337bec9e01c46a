"""`interests serve`: the gateway."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer
import uvicorn

from service.addresses import authority, family_of
from service.api.sockets import bounded, connections_of, raise_file_limit
from service.app import create_app
from service.errors import ConfigurationError
from service.logs import configure_logging
from service.settings import load_settings
from service.wiring import open_tracing

log = logging.getLogger(__name__)

_STARTING_S = 0.01
_PORT, _OPERATIONS_PORT = "INTERESTS_PORT", "INTERESTS_OPERATIONS_PORT"
_BACKLOG = 2048
"""Connections that may wait to be accepted."""
_ACCEPTED_A_ROUND = 16
"""Connections that are accepted in one round of the event loop."""


class DrainingServer(uvicorn.Server):
    """uvicorn with our own end: unready first, still accepting for a while, then a clean exit.

    A load balancer learns of `/readyz` turning 503 only at its next look; a process that stopped
    accepting at once would fail the calls sent to it until then.
    """

    def __init__(
        self, config: uvicorn.Config, drain_delay_s: float, settings_of: Mapping[int, str]
    ) -> None:
        """`settings_of`: for each socket's file number, the setting that its port is from."""
        super().__init__(config)
        self._settings_of = settings_of
        self._drain_delay_s = drain_delay_s
        self._draining: asyncio.Task[None] | None = None

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
        """Listen, and open the parts. By now signals are taken: who is let in is not cut off.

        Raises `ConfigurationError` where another process has begun to listen there meanwhile.
        """
        for bound in sockets or ():
            _listen(bound, self._settings_of[bound.fileno()])
        # libuv accepts one connection of a socket in each round of the loop. Where rounds are long,
        # connections would wait for seconds before anybody here knows of them, and no deadline
        # would count that time. Each copy of the socket accepts one more.
        copies = [bound.dup() for bound in sockets or () for _ in range(_ACCEPTED_A_ROUND - 1)]
        await super().startup([*(sockets or ()), *copies])

    def _on_signal(self) -> None:
        if self._draining is not None:
            self.should_exit = self.force_exit = True
            return
        if self.started:
            self.config.app.state.context.readiness.draining = True  # type: ignore[union-attr]
            log.info("draining", extra={"fields": {"drain_delay_s": self._drain_delay_s}})
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        if self.started:
            await asyncio.sleep(self._drain_delay_s)
        while not self.started:  # uvicorn closes what it has opened, but not what it is opening
            await asyncio.sleep(_STARTING_S)
        self.should_exit = True


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Serve the gateway until SIGTERM or Ctrl-C; all other settings come from the environment."""
    given = {"host": host, "port": port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    tracing = open_tracing(settings)
    configure_logging(settings.log_level, tracing.trace_id)
    app = create_app(settings, tracing=tracing)
    bound = {_bind(settings.host, settings.port, _PORT): _PORT}
    if settings.operations_port is not None:
        operations = _bind(settings.host, settings.operations_port, _OPERATIONS_PORT)
        bound[operations] = _OPERATIONS_PORT
    connections = settings.max_connections or connections_of(raise_file_limit())
    config = uvicorn.Config(
        app,
        http=bounded(settings.head_timeout_s, connections),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=30,
    )
    # What was built up to here lives as long as the process: keep the collector from walking it.
    gc.collect()
    gc.freeze()
    settings_of = {one.fileno(): setting for one, setting in bound.items()}
    DrainingServer(config, settings.drain_delay_s, settings_of).run(sockets=list(bound))


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


def _listen(bound: socket.socket, setting: str) -> None:
    host, port = bound.getsockname()[:2]
    try:
        bound.listen(_BACKLOG)
    except OSError as error:
        raise _cannot_listen(host, port, setting, error) from error
    log.info("listening", extra={"fields": {"host": host, "port": port}})


def _cannot_listen(host: str, port: int, setting: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"cannot listen on {authority(host, port)}: {error.strerror}; "
        f"choose another {setting} or INTERESTS_HOST"
    )
