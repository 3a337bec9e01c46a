"""The client of the real OpenSearch: its pool, its deadline, and each way it can fail."""

from __future__ import annotations

import asyncio
import random
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme
from aiohttp import web
from opensearchpy.exceptions import ConnectionError as Unreachable

from service.errors import RetrievalError, RetrievalTimeout, RetrievalUnavailable
from service.limits import ARTICLE_ID_BYTES
from service.records import Article, Filters
from service.retrieval.indexes.analysis import definition
from service.retrieval.indexes.loading import load
from service.retrieval.indexes.opensearch import OpenSearchIndex
from service.retrieval.indexes.opensearch_client import connect
from service.retrieval.indexes.opensearch_writer import OpenSearchWriter
from service.retrieval.watch import IndexWatch
from service.tls import Tls
from tests.parts.opensearch import OpenSearchNode, call, own_index

pytestmark = pytest.mark.opensearch

ANY = Filters()
WORDS = ("storm", "calm", "ferry", "strike", "election", "harvest")
ARTICLES = [Article(word, f"{word} report", published_ms=1, popularity=2) for word in WORDS]

NOTHING_FOUND = {"hits": {"hits": [], "total": {"value": 0}}}
DENIED = """{"error": {"type": "security_exception", "reason":
    "no permissions for [indices:data/read/msearch] and User [name=me, backend_roles=[]]"}}"""
BLOCKED = """{"error": {"type": "cluster_block_exception", "reason":
    "index [news-1] blocked by: [%s];"}}"""


def soon(seconds: float = 30.0) -> float:
    return asyncio.get_running_loop().time() + seconds


@pytest.fixture
async def writer(opensearch_url: str, index_name: str) -> AsyncIterator[OpenSearchWriter]:
    writer = OpenSearchWriter(connect(opensearch_url), index_name)
    await load(writer, ARTICLES)
    yield writer
    await writer.close()


@pytest.fixture
async def index(
    opensearch_url: str, index_name: str, writer: OpenSearchWriter
) -> AsyncIterator[OpenSearchIndex]:
    """The index that `writer` has filled."""
    index = OpenSearchIndex(connect(opensearch_url), index_name)
    yield index
    await index.close()


async def found(index: OpenSearchIndex, *texts: str, until: float = 0.0) -> list[list[str]]:
    answer = await index.search(texts, 5, ANY, until or soon())
    return [[hit.id for hit in hits or ()] for hits in answer.hits]


# --- what it answers ---------------------------------------------------------------------------


async def test_all_texts_are_answered_in_their_order_by_one_request(
    index: OpenSearchIndex,
) -> None:
    answer = await index.search(["calm", "nothing", "storm"], 5, ANY, soon())
    assert [[hit.id for hit in hits or ()] for hits in answer.hits] == [["calm"], [], ["storm"]]
    assert (answer.shards_ok, answer.shards_total, answer.timed_out) == (1, 1, False)


async def test_the_body_is_searched_but_not_stored(
    opensearch_url: str, index_name: str, writer: OpenSearchWriter, index: OpenSearchIndex
) -> None:
    await writer.upsert([Article("b", "Title", body="marmalade")])
    assert await found(index, "marmalade") == [["b"]]
    stored = call(f"{opensearch_url}/{index_name}/_doc/b")["_source"]
    assert isinstance(stored, dict)
    assert "title" in stored
    assert "body" not in stored


async def test_documents_of_another_ingester_are_read_with_iso_dates_and_without_popularity(
    opensearch_url: str, index_name: str, index: OpenSearchIndex
) -> None:
    document = {"id": "x", "title": "Marmalade", "published": "2026-05-31T00:00:00Z", "other": {}}
    call(f"{opensearch_url}/{index_name}/_doc/x?refresh=true", "PUT", document)
    (hits,) = (await index.search(["marmalade"], 5, ANY, soon())).hits
    assert hits is not None
    assert (hits[0].published_ms, hits[0].popularity) == (1_780_185_600_000, 0.0)


async def test_odd_documents_of_another_ingester_are_read_as_far_as_they_can_be_and_counted(
    opensearch_url: str, index_name: str, index: OpenSearchIndex
) -> None:
    """OpenSearch takes a number, a list or null for a text, and returns them as they were sent."""
    odd: dict[str, dict[str, object]] = {
        "null": {"title": None},
        "number": {"title": 5},
        "list": {"title": ["Marmalade in spring", "and in autumn"]},
        "categories": {"title": "Marmalade", "category": ["food", "garden"]},
        "early": {"title": "Marmalade", "published": -62_135_596_800_001},
        "late": {"title": "Marmalade", "published": 253_402_300_800_000},
        "fine": {"title": "Marmalade", "published": 1_780_185_600_000, "category": "food"},
    }
    for id_, fields in odd.items():
        document = {"id": id_, "abstract": "marmalade", **fields}
        call(f"{opensearch_url}/{index_name}/_doc/{id_}?refresh=true", "PUT", document)
    answer = await index.search(["marmalade"], 10, ANY, soon())
    hits = {hit.id: hit for hit in answer.hits[0] or ()}
    assert hits.keys() == {"list", "categories", "early", "late", "fine"}
    assert hits["list"].title == "Marmalade in spring"
    assert hits["categories"].category == "food"
    assert {hits[id_].published_ms for id_ in ("early", "late")} == {0}
    assert answer.odd == len(odd) - 1
    popular = await index.popular(100, soon())
    assert hits.keys() <= {hit.id for hit in popular}


async def test_an_article_in_two_indices_of_the_alias_counts_once_and_is_remarked(
    opensearch_url: str, index_name: str, index: OpenSearchIndex
) -> None:
    assert await index.remarks(soon()) == ()
    before = (await index.search(["storm"], 10, ANY, soon())).hits[0] or ()
    archive = f"{index_name}-archive"
    call(f"{opensearch_url}/{archive}", "PUT", {**definition(), "aliases": {index_name: {}}})
    document = {"id": "storm", "title": "Storm report", "published": 1, "popularity": 2}
    call(f"{opensearch_url}/{archive}/_doc/storm?refresh=true", "PUT", document)
    answer = await index.search(["storm"], 10, ANY, soon())
    assert [hit.id for hit in answer.hits[0] or ()] == [hit.id for hit in before] == ["storm"]
    assert answer.odd == 1
    popular = [hit.id for hit in await index.popular(100, soon())]
    assert sorted(popular) == sorted(WORDS)
    (remark,) = await index.remarks(soon())
    assert "1 of 6 articles looked at stand in it more than once, such as 'storm'" in remark.says
    assert archive in remark.says


async def test_an_id_that_no_reader_can_name_is_not_served_but_counted_and_remarked(
    opensearch_url: str, index_name: str, index: OpenSearchIndex
) -> None:
    longest = "x" * ARTICLE_ID_BYTES
    for id_ in (longest, longest + "y", "ü" * 65):
        document = {"id": id_, "title": "Marmalade", "popularity": 9}
        call(f"{opensearch_url}/{index_name}/_doc/{quote(id_)}?refresh=true", "PUT", document)
    answer = await index.search(["marmalade"], 10, ANY, soon())
    assert [hit.id for hit in answer.hits[0] or ()] == [longest]
    assert answer.odd == 2
    first, *_ = await index.popular(4, soon())
    assert first.id == longest
    (remark,) = await index.remarks(soon())
    assert "an id longer than 128 characters: 1;" in remark.says


async def test_a_change_by_anybody_is_searchable_within_5_seconds_and_changes_the_generation(
    opensearch_url: str, index_name: str, index: OpenSearchIndex
) -> None:
    before = await index.generation(soon())
    assert await index.generation(soon()) == before
    call(f"{opensearch_url}/{index_name}/_doc/x", "PUT", {"id": "x", "title": "Marmalade"})
    written = await index.generation(soon())
    assert written != before
    async with asyncio.timeout(5):
        while await found(index, "marmalade") == [[]]:
            await asyncio.sleep(0.1)
    assert await index.generation(soon()) not in {before, written}


async def test_searches_during_loads_are_all_answered_whole(
    writer: OpenSearchWriter, index: OpenSearchIndex
) -> None:
    """A load deletes the index before it, which searches that have begun may still be reading."""
    loading = asyncio.create_task(_load_six_times(writer))

    async def search_on() -> int:
        searches = 0
        while not loading.done():
            answer = await index.search(WORDS, 5, ANY, soon())
            assert [[hit.id for hit in hits or ()] for hits in answer.hits] == [[w] for w in WORDS]
            assert answer.shards_ok == answer.shards_total
            searches += 1
        return searches

    searches = await asyncio.gather(*(search_on() for _ in range(8)))
    await loading
    assert sum(searches) > 50


async def _load_six_times(writer: OpenSearchWriter) -> None:
    for _ in range(6):
        await load(writer, ARTICLES)


async def test_an_index_that_is_live_though_the_answer_to_the_switch_was_lost_is_kept(
    opensearch_url: str, index_name: str, index: OpenSearchIndex
) -> None:
    client = connect(opensearch_url)
    switch = client.indices.update_aliases

    async def lost(**given: object) -> None:
        await switch(**given)
        raise Unreachable("N/A", "connection lost", OSError("connection lost"))

    client.indices.update_aliases = lost
    writer = OpenSearchWriter(client, index_name)
    with pytest.raises(RetrievalUnavailable, match="connection lost"):
        await load(writer, [Article("new", "Storm")])
    assert await found(index, "storm") == [["new"]]
    await writer.close()


# --- its pool ----------------------------------------------------------------------------------


class Stand:
    """A stand-in that answers every `_msearch` with no hits, once `gate` is open."""

    def __init__(self, *, held: bool = False) -> None:
        self.gate = asyncio.Event()
        if not held:
            self.gate.set()
        self.busy = self.most_busy = self.requests = 0
        self.login: str | None = None

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as OpenSearch does."""
        self.requests += 1
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        self.login = request.headers.get("authorization")
        try:
            texts = (await request.text()).count("\n") // 2
            await self.gate.wait()
        finally:
            self.busy -= 1
        empty = {
            "status": 200,
            "timed_out": False,
            "_shards": {"total": 1, "successful": 1},
            "hits": {"hits": []},
        }
        return web.json_response({"responses": [empty] * texts})


@asynccontextmanager
async def serving(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("pool", [3, 25])
async def test_the_pool_size_is_honoured(pool: int) -> None:
    """opensearch-py issue 844: some versions kept to ten connections, whatever was asked for."""
    stand = Stand(held=True)
    async with serving(stand.answer) as url:
        index = OpenSearchIndex(connect(url, pool=pool), "news")
        searches = [asyncio.create_task(index.search(["a"], 5, ANY, soon())) for _ in range(30)]
        while stand.busy < pool:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # for one more than there should be
        stand.gate.set()
        await asyncio.gather(*searches)
        await index.close()
    assert stand.requests == 30
    assert stand.most_busy == pool


async def test_cancelled_searches_free_their_connections_and_mix_up_no_answers(
    index: OpenSearchIndex,
) -> None:
    rng = random.Random(1)

    async def one() -> None:
        word = rng.choice(WORDS)
        assert await found(index, word) == [[word]]

    for _ in range(10):
        tasks = [asyncio.create_task(one()) for _ in range(40)]
        await asyncio.sleep(rng.random() * 0.03)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(result is None for result in done[1::2])
    assert await found(index, *WORDS) == [[word] for word in WORDS]


async def test_cancelling_frees_a_place_in_a_full_pool() -> None:
    stand = Stand(held=True)
    async with serving(stand.answer) as url:
        index = OpenSearchIndex(connect(url, pool=1), "news")
        search = asyncio.create_task(index.search(["a"], 5, ANY, soon()))
        while not stand.busy:
            await asyncio.sleep(0.01)
        search.cancel()
        stand.gate.set()
        assert (await index.search(["a"], 5, ANY, soon(10))).hits == ((),)
        await index.close()


# --- its deadline ------------------------------------------------------------------------------


async def test_a_search_ends_at_its_deadline() -> None:
    stand = Stand(held=True)
    async with serving(stand.answer) as url:
        index = OpenSearchIndex(connect(url), "news")
        until = soon(0.2)
        with pytest.raises(RetrievalTimeout):
            await index.search(["a"], 5, ANY, until)
        assert asyncio.get_running_loop().time() >= until
        with pytest.raises(RetrievalTimeout, match="no time left"):
            await index.search(["a"], 5, ANY, until)
        await index.close()
    assert stand.requests == 1


# --- how it fails ------------------------------------------------------------------------------


async def test_a_missing_index_says_what_to_do(opensearch_url: str, index_name: str) -> None:
    index = OpenSearchIndex(connect(opensearch_url), index_name)
    calls: list[Awaitable[object]] = [
        index.search(["a", "b"], 5, ANY, soon()),
        index.popular(5, soon()),
        index.generation(soon()),
        index.check(soon()),
    ]
    for one in calls:
        with pytest.raises(RetrievalUnavailable, match="interests index load"):
            await one
    await index.close()


async def test_an_index_with_another_mapping_is_refused_by_the_check(
    opensearch_url: str, index_name: str, index: OpenSearchIndex
) -> None:
    await index.check(soon())
    mappings = deepcopy(definition()["mappings"])
    mappings["properties"]["title"] = {"type": "keyword"}
    other = {
        "settings": definition()["settings"],
        "mappings": mappings,
        "aliases": {index_name: {}},
    }
    call(f"{opensearch_url}/{index_name}-other", "PUT", other)
    with pytest.raises(RetrievalUnavailable, match="type of 'title' is keyword, not text"):
        await index.check(soon())


async def test_a_failed_search_is_none_and_the_others_are_answered() -> None:
    good = {
        "status": 200,
        "timed_out": True,
        "_shards": {"total": 2, "successful": 1},
        "hits": {
            "hits": [
                {"_id": "1", "_source": {"title": "A"}, "sort": [2.5, 7, "1"]},
            ]
        },
    }
    failed = {"status": 429, "error": {"type": "rejected", "reason": "queue is full"}}
    responses = [failed, good]

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"responses": responses})

    async with serving(answer) as url:
        index = OpenSearchIndex(connect(url), "news")
        found = await index.search(["a", "b"], 5, ANY, soon())
        assert found.hits[0] is None
        assert [hit.id for hit in found.hits[1] or ()] == ["1"]
        assert (found.shards_ok, found.shards_total, found.timed_out) == (1, 2, True)
        responses[:] = [failed, failed]
        with pytest.raises(RetrievalUnavailable, match="queue is full"):
            await index.search(["a", "b"], 5, ANY, soon())
        await index.close()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, "Unauthorized", "refused our credentials"),
        (403, "{}", "a proxy"),
        (403, "<html>Forbidden</html>", "a proxy"),
        (403, DENIED, "lacks the permission indices:data/read/msearch: grant it"),
        (403, '{"error": {"type": "security_exception", "reason": "no"}}', "lacks what this call"),
        (403, BLOCKED % "FORBIDDEN/8/index write (api)", "blocked it.*lift the block"),
        (403, BLOCKED % "FORBIDDEN/12/index read-only / allow delete (api)", "free room"),
        (429, BLOCKED % "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage", "free room"),
        (503, '{"error": {"reason": "no master"}}', "503, no master"),
        (502, "<html>Bad gateway</html>", "502"),
        (200, "<html>Welcome</html>", "OpenSearch"),
        (200, '{"tagline": "something else"}', "something else"),
        (200, '{"responses": []}', "something else"),
    ],
)
async def test_whatever_answers_in_its_place_is_one_clear_line(
    status: int, body: str, message: str
) -> None:
    kind = "text/html" if body.startswith("<") else "application/json"

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type=kind)

    async with serving(answer) as url:
        index = OpenSearchIndex(connect(url), "news")
        with pytest.raises(RetrievalUnavailable, match=message) as caught:
            await index.search(["a"], 5, ANY, soon())
        assert "\n" not in str(caught.value)
        assert "name=me" not in str(caught.value)
        assert ("credentials" in str(caught.value)) == (status == 401)
        await index.close()


@pytest.mark.parametrize("block", ["read", "write", "read_only", "read_only_allow_delete"])
async def test_a_blocked_index_is_told_as_that_by_whatever_it_keeps_from_working(
    opensearch_url: str,
    index_name: str,
    writer: OpenSearchWriter,
    index: OpenSearchIndex,
    block: str,
) -> None:
    settings = f"{opensearch_url}/{index_name}/_settings"
    call(settings, "PUT", {f"index.blocks.{block}": True})
    kept: Awaitable[object] = (
        index.search(["storm"], 5, ANY, soon())
        if block == "read"
        else writer.upsert([Article("new", "Storm")])
    )
    remedy = "free room" if block == "read_only_allow_delete" else "lift the block"
    with pytest.raises(RetrievalUnavailable, match=f"OpenSearch has blocked it: .*{remedy}"):
        await kept
    call(settings, "PUT", {f"index.blocks.{block}": None})


async def test_a_role_without_statistics_is_remarked_with_what_it_costs() -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/_stats/refresh"):
            denied = DENIED.replace("data/read/msearch", "monitor/stats")
            return web.Response(status=403, text=denied, content_type="application/json")
        return web.json_response({} if request.path.endswith("_mapping") else NOTHING_FOUND)

    async with serving(answer) as url:
        index = OpenSearchIndex(connect(url), "news")
        (remark,) = await index.remarks(soon())
        assert "no result of a query is kept" in remark.says
        assert "indices:monitor/stats" in remark.says
        watch = IndexWatch(index)
        with pytest.raises(RetrievalUnavailable, match="indices:monitor/stats"):
            await watch.poll()
        await index.close()


async def test_nobody_there_is_one_clear_line() -> None:
    index = OpenSearchIndex(connect("http://127.0.0.1:1"), "news")
    for one in (index.search(["a"], 5, ANY, soon()), index.check(soon())):
        with pytest.raises(RetrievalUnavailable, match="Cannot connect"):
            await one
    await index.close()


async def test_basic_authentication_is_sent() -> None:
    stand = Stand()
    async with serving(stand.answer) as url:
        index = OpenSearchIndex(connect(url, username="reader", password="p:ä€"), "news")
        await index.search(["a"], 5, ANY, soon())
        await index.close()
    assert stand.login == "Basic " + b64encode("reader:p:ä€".encode()).decode()


async def test_tls_checks_the_server_and_shows_our_certificate(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    trusted, other, ours = (tmp_path / name for name in ("ca.pem", "other.pem", "ours.pem"))
    authority.cert_pem.write_to_path(str(trusted))
    stranger.cert_pem.write_to_path(str(other))
    authority.issue_cert("gateway").private_key_and_cert_chain_pem.write_to_path(str(ours))
    async with serving(Stand().answer, context) as url:
        for client, answers in (
            (connect(url, tls=Tls(ca_file=trusted, cert_file=ours)), True),
            (connect(url, tls=Tls(verify=False, cert_file=ours)), True),
            (connect(url, tls=Tls(ca_file=other, cert_file=ours)), False),
            (connect(url, tls=Tls(ca_file=trusted)), False),
        ):
            index = OpenSearchIndex(client, "news")
            if answers:
                assert (await index.search(["a"], 5, ANY, soon())).hits == ((),)
            else:
                with pytest.raises(RetrievalError):
                    await index.search(["a"], 5, ANY, soon())
            await index.close()


# --- when the node itself is in trouble --------------------------------------------------------


@pytest.fixture
async def small_pool(opensearch_node: OpenSearchNode) -> AsyncIterator[OpenSearchIndex]:
    """An index on the node that may be frozen and killed, over two connections."""
    with own_index(opensearch_node.url) as name:
        writer = OpenSearchWriter(connect(opensearch_node.url), name)
        await load(writer, ARTICLES)
        await writer.close()
        index = OpenSearchIndex(connect(opensearch_node.url, pool=2), name)
        yield index
        await index.close()
        opensearch_node.start_again()


async def test_a_frozen_node_costs_no_more_than_the_deadline_and_is_used_again_after_it(
    opensearch_node: OpenSearchNode, small_pool: OpenSearchIndex
) -> None:
    assert await found(small_pool, "storm") == [["storm"]]
    opensearch_node.freeze()
    try:
        for _ in range(4):
            until = soon(0.2)
            with pytest.raises(RetrievalTimeout):
                await small_pool.search(["storm"], 5, ANY, until)
            assert soon(0) - until < 5
    finally:
        opensearch_node.thaw()
    assert await found(small_pool, "storm") == [["storm"]]


async def test_a_killed_node_is_one_clear_error_and_is_used_again_when_it_is_back(
    opensearch_node: OpenSearchNode, small_pool: OpenSearchIndex
) -> None:
    assert await found(small_pool, "storm") == [["storm"]]
    opensearch_node.kill()
    with pytest.raises(RetrievalUnavailable):
        await small_pool.search(["storm"], 5, ANY, soon())
    await asyncio.to_thread(opensearch_node.start)
    assert await found(small_pool, "storm") == [["storm"]]


async def test_a_node_lost_during_a_load_is_told_by_the_first_error_and_in_one_line(
    opensearch_node: OpenSearchNode,
) -> None:
    def rows() -> Iterator[Article]:
        for number in range(1_200):
            if number == 600:
                opensearch_node.kill()
            yield Article(str(number), "Storm")

    with own_index(opensearch_node.url) as name:
        writer = OpenSearchWriter(connect(opensearch_node.url), name)
        await load(writer, ARTICLES)
        with pytest.raises(RetrievalUnavailable, match="Cannot connect") as caught:
            await load(writer, rows())
        assert "\n" not in str(caught.value)
        await asyncio.to_thread(opensearch_node.start)
        index = OpenSearchIndex(connect(opensearch_node.url), name)
        assert await found(index, "storm") == [["storm"]]
        await index.close()
        await writer.close()
