"""Several nodes of OpenSearch, of which some are silent, gone, slow or without their cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from service.errors import RetrievalTimeout, RetrievalUnavailable
from service.records import Filters
from service.retrieval.indexes.opensearch import OpenSearchIndex
from service.retrieval.indexes.opensearch_client import connect
from service.settings import Settings
from service.telemetry import Metrics
from service.wiring import open_index
from tests.unit.service.retrieval.fakes import eventually

EMPTY = {
    "status": 200,
    "timed_out": False,
    "_shards": {"total": 1, "successful": 1},
    "hits": {"hits": []},
}


class Node:
    """A node that answers searches with no hits, unless it is told to be silent or to fail."""

    def __init__(self) -> None:
        self.silent = False
        self.status = 200
        self.takes_s = 0.0
        self.asked = 0
        self.busy = 0
        self.most_busy = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as OpenSearch does."""
        self.asked += 1
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        try:
            texts = (await request.text()).count("\n") // 2
            while self.silent:
                await asyncio.sleep(0.01)
            await asyncio.sleep(self.takes_s)
        finally:
            self.busy -= 1
        return web.json_response({"responses": [EMPTY] * texts}, status=self.status)


@asynccontextmanager
async def listening(node: Node) -> AsyncIterator[Node]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", node.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    node.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield node
    finally:
        await runner.cleanup()


class Setup:
    """An index over two nodes, and what it tells of them."""

    def __init__(self, first: Node, second: Node) -> None:
        self.first, self.second = first, second
        self.used: dict[str, bool] = {}
        client = connect(f"{first.url},{second.url}", on_node=self.used.__setitem__)
        self.client = client
        self.index = OpenSearchIndex(client, "news")

    async def search(self, within_s: float = 1.0) -> None:
        until = asyncio.get_running_loop().time() + within_s
        answer = await self.index.search(["a"], 5, Filters(), until)
        assert answer.hits == ((),)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Search on until something holds: a node is tried again when others are asked."""
        async with asyncio.timeout(20):
            while not holds():
                await self.search()
                await asyncio.sleep(0.05)

    def is_used(self, node: Node) -> bool:
        return self.used[node.url.removeprefix("http://")]


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    async with listening(Node()) as first, listening(Node()) as second:
        setup = Setup(first, second)
        yield setup
        await setup.index.close()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = [record for record in caplog.records if record.name.endswith("opensearch_nodes")]
    return [f"{record.levelname} {record.getMessage()}" for record in ours]


async def test_well_nodes_are_asked_in_turn(setup: Setup) -> None:
    for _ in range(6):
        await setup.search()
    assert (setup.first.asked, setup.second.asked) == (3, 3)
    assert setup.used == {url.removeprefix("http://"): True for url in urls(setup)}


async def test_a_silent_node_costs_no_answer_and_is_asked_no_more_by_those_who_wait(
    setup: Setup,
) -> None:
    setup.first.silent = True
    for _ in range(30):
        await setup.search()
    # Once for somebody who waited; at most once more as a copy for which nobody did.
    assert setup.first.asked <= 2
    assert setup.second.asked == 30


async def test_many_who_meet_a_silent_node_at_once_are_all_answered(setup: Setup) -> None:
    setup.first.silent = True
    await asyncio.gather(*(setup.search() for _ in range(40)))
    before = setup.first.asked
    await asyncio.gather(*(setup.search() for _ in range(40)))
    assert setup.first.asked <= before + 1


async def test_a_pause_of_a_node_that_many_calls_meet_counts_once(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    setup.first.silent = True
    await asyncio.gather(*(setup.search() for _ in range(40)))
    setup.first.silent = False
    before = setup.first.asked
    await setup.until(lambda: setup.first.asked > before + 4)
    assert lines(caplog) == []


async def test_a_silent_node_is_told_once_and_again_when_it_is_back(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    setup.first.silent = True
    await setup.until(lambda: not setup.is_used(setup.first))
    for _ in range(5):
        await setup.search()
    assert setup.is_used(setup.second)
    address = setup.first.url.removeprefix("http://")
    assert lines(caplog) == [
        f"WARNING OpenSearch's node {address} does not answer and is left alone"
    ]
    setup.first.silent = False
    await setup.until(lambda: setup.is_used(setup.first))
    before = setup.first.asked
    for _ in range(4):
        await setup.search()
    assert setup.first.asked == before + 2
    assert lines(caplog)[1:] == [f"INFO OpenSearch's node {address} answers again and is used"]


async def test_a_resting_node_is_tried_by_one_call_at_a_time(setup: Setup) -> None:
    setup.first.silent = True
    await setup.until(lambda: setup.first.asked == 1)
    await eventually(lambda: setup.first.busy == 0)
    setup.first.most_busy = 0
    await asyncio.sleep(0.6)  # its first rest
    await asyncio.gather(*(setup.search() for _ in range(20)))
    assert setup.first.most_busy == 1


async def test_where_all_are_silent_the_deadline_holds_and_the_first_that_answers_is_used(
    setup: Setup,
) -> None:
    setup.first.silent = setup.second.silent = True
    for _ in range(6):
        with pytest.raises(RetrievalTimeout):
            await setup.search(within_s=0.1)
    setup.second.silent = False
    async with asyncio.timeout(20):
        while True:
            try:
                await setup.search(within_s=0.5)
                break
            except RetrievalTimeout:
                continue
    await setup.search()


async def test_a_caller_that_leaves_at_once_blames_no_node(setup: Setup) -> None:
    setup.first.silent = True
    for _ in range(6):
        search = asyncio.create_task(setup.search(within_s=20))
        await asyncio.sleep(0.01)
        search.cancel()
        await asyncio.wait({search})
    assert setup.first.asked == 3


async def test_nodes_that_are_slow_but_answer_stay_in_use(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    setup.first.takes_s = setup.second.takes_s = 0.15
    for _ in range(8):
        await setup.search(within_s=0.4)
    assert lines(caplog) == []
    assert setup.first.asked >= 4
    assert setup.second.asked >= 4


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_node_without_its_cluster_costs_no_answer(setup: Setup, status: int) -> None:
    setup.first.status = status
    for _ in range(10):
        await setup.search()
    assert setup.first.asked <= 2


async def test_where_every_node_refuses_that_is_said(setup: Setup) -> None:
    setup.first.status = setup.second.status = 503
    with pytest.raises(RetrievalUnavailable, match="503"):
        await setup.search()


async def test_a_node_that_is_gone_costs_no_answer() -> None:
    async with listening(Node()) as gone:
        pass
    async with listening(Node()) as other:
        setup = Setup(gone, other)
        for _ in range(10):
            await setup.search()
        assert other.asked == 10
        await setup.index.close()


async def test_a_change_is_sent_to_one_node_alone_however_long_it_takes(setup: Setup) -> None:
    setup.first.takes_s = setup.second.takes_s = 0.5
    await setup.client.indices.create(index="news", request_timeout=5)
    assert setup.first.asked + setup.second.asked == 1


async def test_a_change_goes_to_the_node_that_answered_the_reads_before_it(setup: Setup) -> None:
    setup.first.silent = True
    for _ in range(2):
        await setup.search()
    for _ in range(4):
        await setup.client.indices.create(index="news", request_timeout=5)
    assert setup.first.asked <= 1


async def test_one_node_alone_is_asked_whatever_became_of_the_calls_before() -> None:
    async with listening(Node()) as node:
        used: dict[str, bool] = {}
        index = OpenSearchIndex(connect(node.url, on_node=used.__setitem__), "news")
        loop = asyncio.get_running_loop()
        node.silent = True
        for _ in range(4):
            with pytest.raises(RetrievalTimeout):
                await index.search(["a"], 5, Filters(), loop.time() + 0.05)
        node.silent = False
        assert (await index.search(["a"], 5, Filters(), loop.time() + 5)).hits == ((),)
        assert used == {}
        await index.close()


async def test_the_gauge_shows_every_node_of_several_without_its_login() -> None:
    metrics = Metrics(CollectorRegistry())
    settings = Settings(opensearch_url="http://me:hunter2@one:9200,https://two")
    index = open_index(settings, metrics)
    shown = generate_latest(metrics.registry).decode()
    assert 'interests_index_node_up{node="one:9200"} 1.0' in shown
    assert 'interests_index_node_up{node="two:443"} 1.0' in shown
    assert "hunter2" not in shown
    await index.close()


def urls(setup: Setup) -> tuple[str, str]:
    return setup.first.url, setup.second.url
