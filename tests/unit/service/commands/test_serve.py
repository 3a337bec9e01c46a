"""How connections come in while the event loop has other work."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.sockets import BoundedProtocol
from service.api.starting import Starting
from service.commands.serve import DrainingServer

TOGETHER = 64


async def never_asked(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nobody sends a request")


@asynccontextmanager
async def serving(app: ASGIApp, bound: socket.socket) -> AsyncIterator[DrainingServer]:
    """The gateway's server with another application behind it."""
    starting = Starting(lambda: FastAPI())
    config = uvicorn.Config(app, http=BoundedProtocol, lifespan="off", log_config=None)
    config.load()
    server = DrainingServer(config, starting, 0, {bound.fileno(): "INTERESTS_PORT"})
    server.lifespan = config.lifespan_class(config)
    await server.startup([bound])
    await starting.settled.wait()
    try:
        yield server
    finally:
        server.force_exit = True
        await server.shutdown([bound])


def free() -> socket.socket:
    """A socket with an address, which does not listen yet."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


async def rounds_until_all_are_accepted(server: DrainingServer, bound: socket.socket) -> int:
    """Rounds of the loop in which connections that came together are accepted."""
    clients = [socket.create_connection(bound.getsockname()) for _ in range(TOGETHER)]
    rounds = 0
    try:
        while len(server.server_state.connections) < TOGETHER:
            rounds += 1
            await asyncio.sleep(0)
    finally:
        for client in clients:
            client.close()
    return rounds


def test_connections_that_come_together_do_not_wait_a_round_of_the_loop_each() -> None:
    """Where rounds are long, a deadline would not count what a connection waits to be accepted."""
    bound = free()
    address = bound.getsockname()

    async def serve() -> int:
        async with serving(never_asked, bound) as server:
            return await rounds_until_all_are_accepted(server, bound)

    assert uvloop.run(serve()) < TOGETHER / 2
    with pytest.raises(ConnectionRefusedError):  # all of what listened is closed
        socket.create_connection(address)


def test_a_request_is_charged_with_what_others_compute_before_it_gets_to_run() -> None:
    """Its time counts from when its head was read, not from when anything looks at it."""
    bound, waited_s = free(), list[float]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        waited_s.append(time.monotonic() - scope["state"]["started"])

    async def serve() -> None:
        loop = asyncio.get_running_loop()

        def compute() -> None:
            time.sleep(0.05)
            if not waited_s:
                loop.call_soon(compute)

        async with serving(app, bound):
            with socket.create_connection(bound.getsockname()) as client:
                client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                loop.call_soon(compute)
                while not waited_s:
                    await asyncio.sleep(0)

    uvloop.run(serve())
    assert waited_s[0] >= 0.05 - 0.002  # uvloop's clock has whole milliseconds
