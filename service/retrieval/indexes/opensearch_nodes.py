"""The nodes behind the URLs: each call goes to one that answers.

A node that goes silent keeps its connections open, so nothing but time tells. A read that is not
answered within a part of its time is sent to a second node as well, and the first answer counts
(hedged requests: Dean and Barroso, "The Tail at Scale", CACM 2013). The silent node is then left
alone. After a while a copy of some read is sent to it in the background, for which nobody waits:
if that is answered the node is used again, else it rests twice as long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from opensearchpy import AsyncTransport
from opensearchpy.exceptions import ConnectionError as Unreachable
from opensearchpy.exceptions import ConnectionTimeout, TransportError

from service.patience import wait_by
from service.retrieval.indexes.opensearch_calls import Call, Node, Reading, is_absence

log = logging.getLogger(__name__)

NodeListener = Callable[[str, bool], None]
"""Told a node's address, and whether it is used."""

_FIRST_REST_S = 0.5
_LONGEST_REST_S = 30.0
_TRY_S = 2.0
"""How long a node that was left alone may take to answer the copy of a read."""

_PATIENCE = 0.25
"""Share of a read's time after which a second node is asked, too …"""
_MOST_PATIENCE_S = 0.25
_USUAL_TIMES = 2
"""… but not before so many times what an answer usually takes."""
_WEIGHT = 0.1
"""Of the newest answer in what an answer usually takes."""


class NodesTransport(AsyncTransport):
    """A transport over one or more hosts, each with a transport of its own.

    With one host alone every call goes there, whatever became of those before.
    """

    def __init__(self, hosts: Sequence[Mapping[str, Any]], **options: Any) -> None:
        on_node: NodeListener = options.pop("on_node", None) or (lambda address, used: None)
        super().__init__(hosts, **options)
        self._nodes = [Node(host, AsyncTransport([host], **options)) for host in hosts]
        self._on_node = on_node
        self._turn = 0
        self._usual_s = 0.0
        if len(self._nodes) > 1:
            for node in self._nodes:
                on_node(node.address, True)

    async def perform_request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        timeout: float | None = None,
        ignore: Any = (),
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer of the first node that gives one. Raises what the client's own does."""
        given = dict(params or {})
        limit = given.pop("request_timeout", timeout)
        call = Call(method, url, given, body, limit, ignore, headers)
        if len(self._nodes) == 1:
            return await self._nodes[0].ask(call)
        if call.reads:
            return await self._read(call)
        return await self._write(call)

    async def close(self) -> None:
        """Close all connections."""
        trying = [node.tried for node in self._nodes if node.tried is not None]
        for task in trying:
            task.cancel()
        await asyncio.gather(*trying, return_exceptions=True)
        for node in self._nodes:
            await node.transport.close()

    async def _write(self, call: Call) -> Any:
        """To one node; to the next one only where nobody was reached."""
        failure: Unreachable | None = None
        for node in self._in_turn():
            asked_at = asyncio.get_running_loop().time()
            try:
                answer = await node.ask(call)
            except ConnectionTimeout:
                self._missed(node, asked_at)
                raise
            except Unreachable as error:
                self._missed(node, asked_at)
                failure = error
            except TransportError:
                self._answered(node)
                raise
            else:
                self._answered(node)
                return answer
        assert failure is not None
        raise failure

    async def _read(self, call: Call) -> Any:
        """To one node, to the next one where it fails, and to a second one where it is silent."""
        nodes = self._in_turn()
        reading = Reading(call)
        reading.ask(next(nodes))
        self._try_again(call, reading)
        patience = self._patience(call.limit_s)
        second_at: float | None = asyncio.get_running_loop().time() + patience
        failure: BaseException | None = None
        try:
            while reading.calls:
                if second_at is None:
                    await asyncio.wait(reading.calls, return_when=asyncio.FIRST_COMPLETED)
                elif await wait_by(reading.calls, second_at):
                    if patience + self._usual_s < call.limit_s:
                        reading.ask(next((node for node in nodes if node.well), None))
                    second_at = None
                for task, (node, asked_at) in reading.take_done():
                    failure = task.exception()
                    if failure is None or not is_absence(failure):
                        self._answered(node, asked_at)
                        return task.result()
                    self._missed(node, asked_at)
                    if not isinstance(failure, ConnectionTimeout):
                        reading.ask(next(nodes, None))
            assert failure is not None
            raise failure
        finally:
            for node, asked_at in await reading.give_up(min(patience, 0.9 * call.limit_s)):
                self._missed(node, asked_at)

    def _patience(self, limit_s: float) -> float:
        share = min(_PATIENCE * limit_s, _MOST_PATIENCE_S)
        return max(share, _USUAL_TIMES * self._usual_s)

    def _in_turn(self) -> Iterator[Node]:
        """The nodes to ask, the best one first: the well ones in turn, then by their rest."""
        self._turn += 1
        count = len(self._nodes)
        turned = [self._nodes[(self._turn + i) % count] for i in range(count)]
        return iter(sorted(turned, key=lambda node: 0.0 if node.well else node.rests_until))

    def _try_again(self, call: Call, reading: Reading) -> None:
        """Send a copy to a node whose rest is over, one at a time."""
        now = asyncio.get_running_loop().time()
        for node in self._nodes:
            due = not node.well and node.rests_until <= now and node.tried is None
            if due and node not in reading.asked:
                node.tried = asyncio.create_task(self._try(node, call), name="index-node-try")

    async def _try(self, node: Node, call: Call) -> None:
        asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_TRY_S):
                await node.ask(call)
        except Exception as error:  # whatever it is, nobody waits for it
            if isinstance(error, TimeoutError) or is_absence(error):
                self._missed(node, asked_at)
            else:
                self._answered(node)
        else:
            self._answered(node)
        finally:
            node.tried = None

    def _answered(self, node: Node, asked_at: float | None = None) -> None:
        if asked_at is not None:
            took = asyncio.get_running_loop().time() - asked_at
            self._usual_s += _WEIGHT * (took - self._usual_s)
        if node.faults > 1:
            log.info("OpenSearch's node %s answers again and is used", node.address)
            self._on_node(node.address, True)
        node.faults = 0

    def _missed(self, node: Node, asked_at: float) -> None:
        """Let a node rest. Only the second time in a row is worth telling: it may have paused.

        Of calls that were under way at once, the first one counts.
        """
        if asked_at <= node.missed_at:
            return
        node.missed_at = asyncio.get_running_loop().time()
        node.faults += 1
        node.rests_until = node.missed_at + min(
            _FIRST_REST_S * 2 ** (node.faults - 1), _LONGEST_REST_S
        )
        if node.faults == 2:
            log.warning("OpenSearch's node %s does not answer and is left alone", node.address)
            self._on_node(node.address, False)
