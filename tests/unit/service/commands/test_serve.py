"""How connections come in while the event loop has other work."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from service.commands.serve import DrainingServer

TOGETHER = 64


async def _never_asked(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nobody sends a request")


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
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    address = bound.getsockname()

    async def serve() -> int:
        config = uvicorn.Config(_never_asked, lifespan="off", log_config=None)
        config.load()
        server = DrainingServer(config, 0, {bound.fileno(): "INTERESTS_PORT"})
        server.lifespan = config.lifespan_class(config)
        await server.startup([bound])
        try:
            return await rounds_until_all_are_accepted(server, bound)
        finally:
            server.force_exit = True
            await server.shutdown([bound])

    assert uvloop.run(serve()) < TOGETHER / 2
    with pytest.raises(ConnectionRefusedError):  # all of what listened is closed
        socket.create_connection(address)
