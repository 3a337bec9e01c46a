"""What is sent to OpenSearch, and what is refused before anything is sent."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import orjson
import pytest

from service.errors import ConfigurationError
from service.records import Filters
from service.retrieval.indexes.analysis import definition
from service.retrieval.indexes.opensearch import mapping_problem
from service.retrieval.indexes.opensearch_client import connect
from service.retrieval.indexes.opensearch_searches import multi_search
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
