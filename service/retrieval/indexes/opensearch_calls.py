"""One call to nodes of OpenSearch: what it is, who is asked, and what an error says of a node."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opensearchpy import AsyncTransport
from opensearchpy.exceptions import ConnectionError as Unreachable
from opensearchpy.exceptions import TransportError

from service.errors import RetrievalError

_LIMIT_S = 10.0
"""For a read that names no limit: the client's own."""
_SPARE_S = 1.0
_ABSENT = {502, 503, 504}
"""A proxy without its node, or a node without its cluster: another one may do better."""


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of `perform_request`."""

    method: str
    url: str
    params: Mapping[str, Any]
    body: Any
    limit: float | None
    """Seconds; None where the caller names none."""
    ignore: Any
    headers: Any

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, so that it may be sent twice."""
        return self.method in {"GET", "HEAD"} or self.url.endswith(("_search", "_msearch"))

    @property
    def limit_s(self) -> float:
        """Seconds in which an answer is wanted."""
        return self.limit or _LIMIT_S

    @property
    def timeout(self) -> float | None:
        """The client's own; whoever waits for a read stops by itself, so that it ends later."""
        return self.limit_s + _SPARE_S if self.reads else self.limit


class Node:
    """One node: how to reach it, and how it has been answering."""

    def __init__(self, host: Mapping[str, Any], transport: AsyncTransport) -> None:
        self.address = f"{host['host']}:{host.get('port', 9200)}"
        self.transport = transport
        self.faults = 0
        """Calls that it left without an answer, one after the other."""
        self.missed_at = self.rests_until = float("-inf")
        self.tried: asyncio.Task[None] | None = None

    @property
    def well(self) -> bool:
        """Whether it answered the last time."""
        return self.faults == 0

    async def ask(self, call: Call) -> Any:
        """Its answer to a call. Raises what the client does."""
        # The client takes things out of the parameters, so each node gets its own.
        return await self.transport.perform_request(
            call.method,
            call.url,
            dict(call.params),
            call.body,
            call.timeout,
            call.ignore,
            call.headers,
        )


class Reading:
    """The calls under way for one read."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.asked: list[Node] = []
        self.calls: dict[asyncio.Task[Any], tuple[Node, float]] = {}
        """With the node and when it was asked, on the loop's clock."""

    def ask(self, node: Node | None) -> None:
        """Send it to a node, where there is one left."""
        if node is not None:
            self.asked.append(node)
            asking = asyncio.ensure_future(node.ask(self._call))
            self.calls[asking] = node, asyncio.get_running_loop().time()

    def take_done(self) -> list[tuple[asyncio.Task[Any], tuple[Node, float]]]:
        """The calls that have ended."""
        return [(task, self.calls.pop(task)) for task in list(self.calls) if task.done()]

    async def give_up(self, after_s: float) -> list[tuple[Node, float]]:
        """End what is under way. Returns who has been silent for `after_s`, and since when."""
        now = asyncio.get_running_loop().time()
        silent = [asked for asked in self.calls.values() if now - asked[1] >= after_s]
        for task in self.calls:
            task.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        return silent


def is_absence(error: BaseException) -> bool:
    """Whether an error says that no node is there, rather than what the call was worth."""
    return isinstance(error, Unreachable | RetrievalError) or (
        isinstance(error, TransportError) and error.status_code in _ABSENT
    )
