"""What is sent to OpenSearch, and what is refused before anything is sent."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import orjson
import pytest

from service.errors import ConfigurationError
from service.records import Filters
from service.retrieval.indexes.analysis import definition
from service.retrieval.indexes.loading import EncoderOf
from service.retrieval.indexes.opensearch import mapping_problem
from service.retrieval.indexes.opensearch_client import connect
from service.retrieval.indexes.opensearch_searches import multi_search
from service.retrieval.indexes.opensearch_vectors import (
    as_read,
    encoder_of,
    index_definition,
    vector_problem,
)
from service.tls import Tls


def test_every_text_is_a_search_of_its_own_in_one_body() -> None:
    body = multi_search(["one", 'two" } {'], 7, Filters(), timeout_ms=90)
    lines = [orjson.loads(line) for line in body.splitlines()]
    assert len(lines) == 4
    assert [search["size"] for search in lines[1::2]] == [7, 7]
    assert {search["timeout"] for search in lines[1::2]} == {"90ms"}
    assert all(header["allow_partial_search_results"] for header in lines[::2])


def test_the_date_filter_does_not_score() -> None:
    body = multi_search(["one"], 7, Filters(published_after_ms=5), timeout_ms=90)
    (filter_,) = orjson.loads(body.splitlines()[1])["query"]["bool"]["filter"]
    assert filter_["range"]["published"]["gte"] == 5


def test_what_is_ahead_is_left_out_without_a_bound_that_the_undated_would_not_meet() -> None:
    body = multi_search(["one"], 7, Filters(published_until_ms=5), timeout_ms=90)
    query = orjson.loads(body.splitlines()[1])["query"]["bool"]
    assert query["must_not"] == [{"range": {"published": {"gt": 5, "format": "epoch_millis"}}}]
    assert "filter" not in query


def test_vectors_are_searches_of_their_own_behind_the_texts_with_the_same_filters() -> None:
    filters = Filters(published_after_ms=5, published_until_ms=9)
    body = multi_search(["one", "two"], 7, filters, timeout_ms=90, vectors=[[0.6, 0.8]])
    lines = [orjson.loads(line) for line in body.splitlines()]
    assert len(lines) == 6
    words, nearest = lines[3], lines[5]
    knn = nearest["query"]["knn"]["vector"]
    assert (knn["vector"], nearest["size"]) == ([0.6, 0.8], 7)
    assert knn["filter"]["bool"].items() <= words["query"]["bool"].items()
    assert knn["filter"]["bool"].keys() == {"filter", "must_not"}
    del words["query"], nearest["query"]
    assert words == nearest


@pytest.mark.parametrize(("size", "k"), [(1, 400), (100, 400), (101, 404), (500, 2000)])
def test_a_search_by_meaning_looks_at_many_more_than_are_wanted(size: int, k: int) -> None:
    body = multi_search(["one"], size, Filters(), timeout_ms=90, vectors=[[1.0]])
    search = orjson.loads(body.splitlines()[3])
    assert (search["size"], search["query"]["knn"]["vector"]["k"]) == (size, k)


def test_a_search_by_meaning_without_filters_has_no_filter() -> None:
    body = multi_search(["one"], 7, Filters(), timeout_ms=90, vectors=[[1.0]])
    assert "filter" not in orjson.loads(body.splitlines()[3])["query"]["knn"]["vector"]


def test_without_an_encoder_the_mapping_is_as_it_was_and_with_one_it_only_has_more() -> None:
    assert index_definition(None) == definition()
    with_vectors = index_definition(EncoderOf("small@1", 384))
    assert mapping_problem(with_vectors["mappings"]) is None
    assert encoder_of(with_vectors["mappings"]) == EncoderOf("small@1", 384)
    assert encoder_of(definition()["mappings"]) is None
    assert "vector" not in definition()["mappings"]["properties"]


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({}, "type of 'vector' is None, not knn_vector"),
        ({"type": "float"}, "type of 'vector' is float, not knn_vector"),
        ({"type": "knn_vector", "model_id": "m"}, "'vector' has no dimension"),
        ({"type": "knn_vector", "dimension": 2}, "space_type of 'vector' is None"),
        ({"type": "knn_vector", "dimension": 2, "space_type": "l2"}, "'vector' is l2"),
        ({"type": "knn_vector", "dimension": 2, "space_type": "cosinesimil"}, None),
    ],
)
def test_vectors_that_cannot_be_searched_are_named(
    field: dict[str, object], says: str | None
) -> None:
    mapping = {"_meta": {"interests_encoder": "small@1"}, "properties": {"vector": field}}
    problem = vector_problem(mapping)
    assert (problem is None) if says is None else (says in str(problem))
    assert (encoder_of(mapping) is None) == (says is not None)
    assert vector_problem({"properties": {"vector": field}}) is None


def test_a_stored_vector_is_read_at_length_1_and_what_is_none_is_passed_over() -> None:
    read = as_read([3.0, 4.0], 2)
    assert read is not None
    assert read.tolist() == pytest.approx([0.6, 0.8])
    for odd in (None, "text", [], [1.0], [0.0, 0.0], [1.0, None], ["a", "b"], [[1.0, 2.0]]):
        assert as_read(odd, 2) is None


def test_our_own_mapping_has_no_problem_and_more_fields_are_welcome() -> None:
    mapping = deepcopy(definition()["mappings"])
    mapping["properties"]["vector"] = {"type": "float"}
    assert mapping_problem(mapping) is None


@pytest.mark.parametrize("field", ["id", "title", "published", "popularity"])
def test_a_field_that_differs_is_named(field: str) -> None:
    mapping = deepcopy(definition()["mappings"])
    mapping["properties"][field]["type"] = "wildcard"
    assert f"type of '{field}' is wildcard" in str(mapping_problem(mapping))
    del mapping["properties"][field]
    assert f"type of '{field}' is None" in str(mapping_problem(mapping))


def test_another_schema_version_or_analyzer_is_a_problem() -> None:
    mapping = deepcopy(definition()["mappings"])
    mapping["properties"]["body"]["analyzer"] = "standard"
    assert "analyzer of 'body' is standard, not news" in str(mapping_problem(mapping))
    assert "schema version is None" in str(mapping_problem({"properties": {}}))


@pytest.mark.parametrize("url", ["", "search:9200", "ftp://search", "https://"])
def test_a_url_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match="INTERESTS_OPENSEARCH_URL"):
        connect(url)


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="INTERESTS_OPENSEARCH_TLS"):
        connect("https://search:9200", tls=Tls("INTERESTS_OPENSEARCH_TLS", tmp_path / "none.pem"))
