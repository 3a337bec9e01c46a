"""Search by meaning on the real OpenSearch: what is found, what is kept, and what goes without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from service.errors import ConfigurationError, EncoderUnavailable, RetrievalUnavailable
from service.records import Article, Encoded, Filters, Hit, IndexAnswer, Vectors
from service.retrieval.indexes.loading import (
    EncoderOf,
    article_text,
    load,
    text_digest,
    upsert,
)
from service.retrieval.indexes.opensearch import OpenSearchIndex
from service.retrieval.indexes.opensearch_client import connect
from service.retrieval.indexes.opensearch_vectors import index_definition
from service.retrieval.indexes.opensearch_writer import OpenSearchWriter
from tests.integration.test_opensearch import ANY, serving, soon
from tests.parts.opensearch import OpenSearchNode, call, own_index

pytestmark = pytest.mark.opensearch

DAY = 1_780_000_000_000
NORTH, EAST, SOUTH = (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)
BETWEEN = (0.6, 0.8)
WORDS = {"north": NORTH, "between": BETWEEN, "east": EAST, "south": SOUTH, "nowhere": (0.0, 0.0)}
ARTICLES = [
    Article(word, f"{word} report", published_ms=DAY + number)
    for number, word in enumerate(("north", "between", "east", "south"))
]


class Compass:
    """An `ArticleEncoder` of a text's first word, which remembers what it was asked for."""

    def __init__(self, key: str = "compass@1", dimension: int = 2) -> None:
        self.key, self.dimension = key, dimension
        self.asked: list[str] = []
        self.fails = False

    async def close(self) -> None:
        """Nothing is held."""

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """Two numbers, and zeros behind them."""
        if self.fails:
            raise EncoderUnavailable("the encoder failed")
        self.asked += texts
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        vectors[:, :2] = [WORDS[text.split()[0]] for text in texts]
        return vectors


def seen(*rows: Sequence[float], key: str = "compass@1") -> Encoded:
    return Encoded(key, np.array(rows, np.float32))


def scores(hits: Sequence[Hit]) -> dict[str, float]:
    """Cosines by id, to six decimals."""
    return {hit.id: round(hit.score, 6) for hit in hits}


def ids(hits: Sequence[Hit] | None) -> list[str]:
    return [hit.id for hit in hits or ()]


@pytest.fixture
async def writer(opensearch_url: str, index_name: str) -> AsyncIterator[OpenSearchWriter]:
    writer = OpenSearchWriter(connect(opensearch_url), index_name)
    await load(writer, ARTICLES, encoder=Compass())
    yield writer
    await writer.close()


@pytest.fixture
async def index(
    opensearch_url: str, index_name: str, writer: OpenSearchWriter
) -> AsyncIterator[OpenSearchIndex]:
    """The index that `writer` has filled with vectors."""
    index = OpenSearchIndex(connect(opensearch_url), index_name)
    yield index
    await index.close()


async def toward(
    index: OpenSearchIndex, *row: float, filters: Filters = ANY, size: int = 10
) -> list[str]:
    """Ids found by meaning alone."""
    answer = await index.search(["nothing"], size, filters, soon(), seen(row))
    return ids(answer.near[0])


# --- what is found -----------------------------------------------------------------------------


async def test_texts_are_searched_by_words_and_by_meaning_in_one_request(
    index: OpenSearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies: list[bytes] = []
    send = index._client.msearch

    async def sent(*, body: bytes, **options: Any) -> Any:
        bodies.append(body)
        return await send(body=body, **options)

    monkeypatch.setattr(index._client, "msearch", sent)
    answer = await index.search(["east", "north"], 3, ANY, soon(), seen(NORTH, EAST))
    assert [ids(hits) for hits in answer.hits] == [["east"], ["north"]]
    first, second = answer.near
    assert scores(first) == {"north": 1.0, "between": 0.6, "east": 0.0}
    assert ids(first) == ["north", "between", "east"]
    assert scores(second) == {"east": 1.0, "between": 0.8, "south": 0.0}
    assert answer.encoder == "compass@1"
    assert (answer.shards_ok, answer.shards_total, answer.timed_out) == (1, 1, False)
    (body,) = bodies
    assert body.count(b"\n") == 8


async def test_what_points_the_other_way_has_a_cosine_below_0(index: OpenSearchIndex) -> None:
    answer = await index.search(["nothing"], 10, ANY, soon(), seen(NORTH))
    assert scores(answer.near[0])["south"] == -1.0
    assert answer.hits == ((),)


async def test_equals_come_newest_first_then_by_id_at_the_cut_too(
    writer: OpenSearchWriter, index: OpenSearchIndex
) -> None:
    same = [
        Article(id_, "north star", published_ms=DAY + at)
        for id_, at in (("b", 9), ("c", 7), ("a", 7), ("d", 8))
    ]
    await upsert(writer, same, encoder=Compass())
    assert await toward(index, *NORTH, size=4) == ["b", "d", "a", "c"]
    assert await toward(index, *NORTH, size=3) == ["b", "d", "a"]


async def test_filters_leave_as_many_hits_as_are_wanted(
    writer: OpenSearchWriter, index: OpenSearchIndex
) -> None:
    await upsert(
        writer,
        [Article(f"old{number}", "north", published_ms=DAY - 1) for number in range(50)]
        + [Article("undated", "between")],
        encoder=Compass(),
    )
    newer = Filters(published_after_ms=DAY)
    assert await toward(index, *NORTH, filters=newer, size=3) == ["north", "between", "east"]
    until = Filters(published_until_ms=DAY - 2)
    assert await toward(index, *NORTH, filters=until) == ["undated"]
    both = Filters(published_after_ms=DAY + 1, published_until_ms=DAY + 2)
    assert await toward(index, *NORTH, filters=both) == ["between", "east"]


async def test_changes_are_found_by_meaning_when_they_return(
    writer: OpenSearchWriter, index: OpenSearchIndex
) -> None:
    await upsert(writer, [Article("north", "east again", published_ms=DAY + 9)], encoder=Compass())
    assert (await toward(index, *EAST))[:2] == ["north", "east"]
    await writer.delete(["north"])
    assert (await toward(index, *EAST))[:2] == ["east", "between"]


async def test_an_article_in_two_indices_of_the_alias_is_near_once(
    opensearch_url: str, index_name: str, index: OpenSearchIndex
) -> None:
    body = index_definition(EncoderOf("compass@1", 2))
    archive = f"{index_name}-archive"
    call(f"{opensearch_url}/{archive}", "PUT", {**body, "aliases": {index_name: {}}})
    document = {"id": "north", "title": "North", "published": DAY, "vector": BETWEEN}
    call(f"{opensearch_url}/{archive}/_doc/north?refresh=true", "PUT", document)
    answer = await index.search(["nothing"], 10, ANY, soon(), seen(NORTH))
    assert scores(answer.near[0]) == {"north": 1.0, "between": 0.6, "east": 0.0, "south": -1.0}
    assert answer.odd == 1


# --- vectors that cannot be used -----------------------------------------------------------------


@pytest.mark.parametrize("broken", [0.0, float("nan"), float("inf")])
async def test_a_vector_without_a_direction_keeps_nothing_from_being_loaded_or_found(
    opensearch_url: str,
    index_name: str,
    writer: OpenSearchWriter,
    index: OpenSearchIndex,
    broken: float,
) -> None:
    articles = [Article("odd", "oddity"), Article("fine", "fine")]
    vectors = np.array([[broken, broken], NORTH], np.float32)
    await writer.upsert(articles, vectors)
    stored = call(f"{opensearch_url}/{index_name}/_doc/odd")["_source"]
    assert isinstance(stored, dict)
    assert not stored.keys() & {"vector", "text_digest"}
    answer = await index.search(["oddity", "fine"], 2, ANY, soon(), seen((broken, broken), NORTH))
    assert [ids(hits) for hits in answer.hits] == [["odd"], ["fine"]]
    assert [sorted(ids(near)) for near in answer.near] == [[], ["fine", "north"]]
    assert answer.shards_ok == answer.shards_total
    only = await index.search(["oddity"], 2, ANY, soon(), seen((broken, broken)))
    assert (ids(only.hits[0]), only.near) == (["odd"], ((),))


@pytest.mark.parametrize(
    "given", [seen(NORTH, key="other@1"), seen((1.0, 0.0, 0.0))], ids=["encoder", "dimension"]
)
async def test_vectors_that_are_not_the_indexs_own_are_not_searched(
    index: OpenSearchIndex, given: Encoded
) -> None:
    answer = await index.search(["north"], 10, ANY, soon(), given)
    assert (ids(answer.hits[0]), answer.near, answer.encoder) == (["north"], (), "compass@1")
    assert answer.shards_ok == answer.shards_total


async def test_an_index_without_vectors_is_searched_by_words_and_remarked_to_who_has_an_encoder(
    opensearch_url: str, index_name: str
) -> None:
    writer = OpenSearchWriter(connect(opensearch_url), index_name)
    await load(writer, ARTICLES)
    assert await writer.encoder() == ""
    assert await writer.known_vectors([text_digest("north report")], "compass@1") == {}
    index = OpenSearchIndex(connect(opensearch_url), index_name)
    answer = await index.search(["north"], 10, ANY, soon(), seen(NORTH))
    assert (ids(answer.hits[0]), answer.near, answer.encoder) == (["north"], (), "")
    assert await index.remarks(soon()) == ()
    await index.close()
    with pytest.raises(ConfigurationError, match="has no vectors, the settings name compass@1"):
        await upsert(writer, ARTICLES, encoder=Compass())
    await writer.close()


@pytest.mark.parametrize(("other", "key"), [(EncoderOf("other@1", 2), "other@1"), (None, "none")])
async def test_an_alias_of_indices_with_different_vectors_is_searched_by_words_and_remarked(
    opensearch_url: str, index_name: str, index: OpenSearchIndex, other: EncoderOf | None, key: str
) -> None:
    assert await toward(index, *NORTH, size=1) == ["north"]
    await index.generation(soon())
    archive = f"{index_name}-archive"
    body = {**index_definition(other), "aliases": {index_name: {}}}
    call(f"{opensearch_url}/{archive}", "PUT", body)
    await index.generation(soon())
    answer = await index.search(["north"], 10, ANY, soon(), seen(NORTH))
    assert (ids(answer.hits[0]), answer.near, answer.encoder) == (["north"], (), "")
    (remark,) = await index.remarks(soon())
    assert "vectors of different encoders" in remark.says
    assert f"{archive} has {key}" in remark.says
    call(f"{opensearch_url}/{archive}", "DELETE")
    await index.check(soon())
    assert await toward(index, *NORTH, size=1) == ["north"]


async def test_a_mapping_that_names_an_encoder_but_cannot_be_searched_by_it_is_remarked(
    opensearch_url: str, index_name: str
) -> None:
    body = index_definition(EncoderOf("compass@1", 2))
    body["mappings"]["properties"]["vector"]["method"]["space_type"] = "l2"
    call(f"{opensearch_url}/{index_name}-mine", "PUT", {**body, "aliases": {index_name: {}}})
    index = OpenSearchIndex(connect(opensearch_url), index_name)
    await index.check(soon())
    answer = await index.search(["north"], 10, ANY, soon(), seen(NORTH))
    assert (answer.near, answer.encoder) == ((), "")
    (remark,) = await index.remarks(soon())
    assert "space_type of 'vector' is l2, not cosinesimil" in remark.says
    await index.close()


# --- what changes under way ----------------------------------------------------------------------


async def test_a_load_of_another_encoder_is_noticed_by_its_hits(
    writer: OpenSearchWriter, index: OpenSearchIndex
) -> None:
    """Both have two dimensions: the vectors of one would be searched among the other's."""
    assert await toward(index, *NORTH, size=1) == ["north"]
    await load(writer, ARTICLES, encoder=Compass("other@1"))
    answer = await index.search(["north"], 10, ANY, soon(), seen(NORTH))
    assert (ids(answer.hits[0]), answer.near) == (["north"], ((),))
    answer = await index.search(["north"], 10, ANY, soon(), seen(NORTH))
    assert (answer.near, answer.encoder) == ((), "other@1")
    answer = await index.search(["north"], 1, ANY, soon(), seen(NORTH, key="other@1"))
    assert ids(answer.near[0]) == ["north"]


async def test_a_load_that_fails_leaves_the_live_vectors_and_no_index(
    opensearch_url: str, index_name: str, writer: OpenSearchWriter, index: OpenSearchIndex
) -> None:
    before = list(call(f"{opensearch_url}/{index_name}-*"))
    encoder = Compass()
    encoder.fails = True
    with pytest.raises(EncoderUnavailable):
        await load(writer, [Article("new", "south pole")], encoder=encoder)
    assert list(call(f"{opensearch_url}/{index_name}-*")) == before
    assert await toward(index, *NORTH, size=1) == ["north"]


# --- what is known already -----------------------------------------------------------------------


async def test_texts_that_have_not_changed_are_not_encoded_again(
    writer: OpenSearchWriter, index: OpenSearchIndex
) -> None:
    encoder = Compass()
    changed = [*ARTICLES[1:], Article("north", "north again"), Article("twin", "north again")]
    await load(writer, changed, encoder=encoder)
    assert encoder.asked == ["north again"]
    assert await toward(index, *BETWEEN, size=1) == ["between"]
    await upsert(writer, [Article("more", "east report")], encoder=encoder)
    await load(writer, changed, encoder=encoder)
    assert encoder.asked == ["north again"]
    other = Compass("other@1")
    await load(writer, changed, encoder=other)
    assert len(other.asked) == 4


async def test_vectors_are_known_by_their_texts_digests_however_many_articles_share_one(
    writer: OpenSearchWriter,
) -> None:
    words = list(WORDS)
    rng = np.random.default_rng(1)
    articles = [Article(str(n), f"{words[n % 4]} {n}") for n in range(600)]
    vectors = rng.normal(size=(600, 2)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    await writer.upsert(articles, vectors)
    crowd = [Article(f"same{n}", "the same text") for n in range(600)]
    await writer.upsert(crowd, np.tile(np.array([EAST], np.float32), (600, 1)))
    digests = [text_digest(article_text(article)) for article in [*articles, crowd[0]]]
    known = await writer.known_vectors([*digests, text_digest("never seen")], "compass@1")
    assert known.keys() == set(digests)
    read = np.array([known[digest] for digest in digests])
    assert np.abs(read - np.vstack([vectors, [EAST]])).max() < 1e-6
    assert await writer.known_vectors(digests, "other@1") == {}


async def test_nothing_is_known_without_an_index_and_an_upsert_names_the_remedy(
    opensearch_url: str, index_name: str
) -> None:
    writer = OpenSearchWriter(connect(opensearch_url), index_name)
    assert await writer.known_vectors([text_digest("a")], "compass@1") == {}
    with pytest.raises(RetrievalUnavailable, match="interests index load"):
        await upsert(writer, ARTICLES, encoder=Compass())
    await writer.close()


async def test_the_encoder_is_that_of_the_index_that_upserts_go_to(
    opensearch_url: str, index_name: str, writer: OpenSearchWriter
) -> None:
    assert await writer.encoder() == "compass@1"
    body = index_definition(EncoderOf("other@1", 2))
    aliases = {index_name: {"is_write_index": True}}
    call(f"{opensearch_url}/{index_name}-mine", "PUT", {**body, "aliases": aliases})
    assert await writer.encoder() == "other@1"


async def test_requests_of_a_load_stay_bounded_however_many_numbers_a_vector_has(
    opensearch_url: str, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(opensearch_url)
    sizes: list[int] = []
    send = client.bulk

    async def sent(*, body: str, **options: Any) -> Any:
        sizes.append(len(body))
        return await send(body=body, **options)

    monkeypatch.setattr(client, "bulk", sent)
    writer = OpenSearchWriter(client, index_name)
    encoder = Compass(dimension=4096)
    rng = np.random.default_rng(1)

    async def encode(texts: Sequence[str]) -> Vectors:
        return rng.normal(size=(len(texts), 4096)).astype(np.float32)

    monkeypatch.setattr(encoder, "encode", encode)
    await load(writer, [Article(str(n), f"report {n}") for n in range(250)], encoder=encoder)
    assert len(sizes) > 1
    assert max(sizes) <= 5_000_000
    await writer.close()


# --- how it fails --------------------------------------------------------------------------------


def _found(index: str, *ids: str) -> dict[str, Any]:
    hits = [
        {"_index": index, "_id": id_, "_source": {"title": id_}, "sort": [0.9, 7, id_]}
        for id_ in ids
    ]
    shards = {"total": 2, "successful": 2}
    return {"status": 200, "timed_out": False, "_shards": shards, "hits": {"hits": hits}}


FAILED = {"status": 500, "error": {"type": "knn_circuit", "reason": "no memory for graphs"}}


async def answered(
    responses: list[dict[str, Any]], texts: int, *, mapping_status: int = 200
) -> IndexAnswer:
    """What the index makes of an OpenSearch's responses to texts with vectors."""
    mappings = {"news-1": {"mappings": index_definition(EncoderOf("compass@1", 2))["mappings"]}}

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("_mapping"):
            return web.json_response(mappings, status=mapping_status)
        return web.json_response({"responses": responses})

    async with serving(answer) as url:
        index = OpenSearchIndex(connect(url), "news")
        try:
            given = seen(*[NORTH] * texts)
            return await index.search([f"t{n}" for n in range(texts)], 5, ANY, soon(), given)
        finally:
            await index.close()


async def test_a_search_by_meaning_that_failed_leaves_the_words_and_says_it_is_not_all() -> None:
    answer = await answered(
        [_found("news-1", "1"), _found("news-1"), FAILED, _found("news-1", "2")], 2
    )
    assert [ids(hits) for hits in answer.hits] == [["1"], []]
    assert [ids(near) for near in answer.near] == [[], ["2"]]
    assert (answer.shards_ok, answer.shards_total) == (0, 2)


async def test_a_search_by_words_that_failed_is_none_beside_hits_by_meaning() -> None:
    answer = await answered([FAILED, _found("news-1", "2")], 1)
    assert answer.hits == (None,)
    assert ids(answer.near[0]) == ["2"]


async def test_searches_that_all_failed_are_one_error() -> None:
    with pytest.raises(RetrievalUnavailable, match="no memory for graphs"):
        await answered([FAILED, FAILED], 1)


async def test_without_the_mapping_the_words_are_searched_alone() -> None:
    answer = await answered([_found("news-1", "1")], 1, mapping_status=403)
    assert (ids(answer.hits[0]), answer.near, answer.encoder) == (["1"], (), "")


async def test_an_address_that_answers_something_else_is_one_clear_line() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"tagline": "something else"})

    async with serving(answer) as url:
        index = OpenSearchIndex(connect(url), "news")
        for one in (
            index.search(["a"], 5, ANY, soon(), seen(NORTH)),
            index.check(soon()),
        ):
            with pytest.raises(RetrievalUnavailable, match="something else"):
                await one
        await index.close()


# --- without the plugin --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_node() -> Iterator[OpenSearchNode]:
    """A node without the k-NN plugin."""
    node = OpenSearchNode(knn=False)
    try:
        node.start()
        yield node
    finally:
        node.close()


async def test_without_the_plugin_an_encoder_is_refused_in_one_line_and_words_work(
    plain_node: OpenSearchNode,
) -> None:
    with own_index(plain_node.url) as name:
        writer = OpenSearchWriter(connect(plain_node.url), name)
        index = OpenSearchIndex(connect(plain_node.url), name)
        await load(writer, ARTICLES)
        before = list(call(f"{plain_node.url}/{name}-*"))
        with pytest.raises(RetrievalUnavailable, match="install `opensearch-knn`") as caught:
            await load(writer, ARTICLES, encoder=Compass())
        assert "\n" not in str(caught.value)
        assert list(call(f"{plain_node.url}/{name}-*")) == before
        answer = await index.search(["north"], 10, ANY, soon(), seen(NORTH))
        assert (ids(answer.hits[0]), answer.near, answer.encoder) == (["north"], (), "")
        await asyncio.gather(writer.close(), index.close())
