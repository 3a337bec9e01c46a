"""A TCP relay before a server: counts what passes, delays it, holds it back, or speaks TLS."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType


class Wire:
    """`async with Wire(port) as wire:` relays `wire.port` to that port on this machine."""

    def __init__(self, target: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.sent = 0
        """Chunks that clients sent: a request written at once is one."""
        self.delay_s = 0.0
        """Wait before each chunk that goes back to a client."""
        self.open = asyncio.Event()
        """Cleared: answers are held back, in order, until it is set."""
        self.open.set()
        self.port = 0
        self.target = target
        """Where new connections lead; those that are open stay where they are."""
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def alive(self) -> int:
        """Connections open now."""
        return len(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self.target)
            answers = asyncio.create_task(self._answers(back, writer))
            try:
                while chunk := await reader.read(1 << 20):
                    self.sent += 1
                    forth.write(chunk)
                    await forth.drain()
            finally:
                answers.cancel()
                forth.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1 << 20):
                await asyncio.sleep(self.delay_s)
                await self.open.wait()
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
