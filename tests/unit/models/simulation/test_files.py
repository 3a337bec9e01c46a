"""Files of searches: which of them are used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.simulation.files import read_searches
from service.errors import InvalidInput
from service.rows import BadRows


def searches(folder: Path, *rows: object) -> list[str]:
    file = folder / "queries.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return read_searches(str(file), BadRows())


def test_searches_without_a_source_are_used_and_of_those_with_one_natural_questions(
    tmp_path: Path,
) -> None:
    rows = ({"query": "a"}, {"source": "nq", "query": "b"}, {"source": "trec-mq", "query": "c"})
    assert searches(tmp_path, *rows) == ["a", "b"]
    assert searches(tmp_path) == []


def test_a_file_of_other_sources_alone_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="none of 1 searches is of source 'nq'; leave `source`"):
        searches(tmp_path, {"source": "mine", "query": "a"})


@pytest.mark.parametrize("row", [{}, {"query": " "}, {"query": 3}, ["a"], "a"])
def test_a_row_without_a_query_is_named(tmp_path: Path, row: object) -> None:
    with pytest.raises(InvalidInput, match=r"queries\.jsonl:2: needs query"):
        searches(tmp_path, {"query": "a"}, row)
