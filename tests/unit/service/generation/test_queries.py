from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.errors import GenerationInvalid
from service.generation.queries import DUPLICATE, MAX_CHARS, MAX_WORDS, parse
from service.records import Query, Signal
from service.words.text import alike, stems
from tests.unit.service.generation.builders import signal
from tests.unit.service.generation.messy import CORPUS, Messy

SHOWN = (
    signal("Fed signals interest rate cut", "news", id="n1"),
    signal("running shoes", "purchase", id="p1"),
    signal("earthquake in Turkey: how to help", "browse", id="b1"),
)


def read(
    text: str,
    shown: tuple[Signal, ...] = (),
    *,
    finished: bool = True,
    max_queries: int = 8,
    blocked: tuple[str, ...] = (),
) -> list[str]:
    found = parse(text, shown, finished=finished, max_queries=max_queries, blocked=blocked)
    return [query.text for query in found]


@pytest.mark.parametrize("messy", CORPUS, ids=lambda messy: messy.name)
def test_the_queries_are_found_in_what_models_write(messy: Messy) -> None:
    assert read(messy.output, finished=messy.finished) == messy.queries


@pytest.mark.parametrize(
    "output",
    [
        "",
        " \n\n",
        "...\n---",
        "Here are the queries:",
        "```json\n[]\n```",
        "#9",
        "1.\n2.\n3.",
        "🔥🔥",
        "<think>what would they",
        "user: hello there",
        "Queries",
        "**",
        '"',
        "[",
        "{}",
        '{"a":',
        "\x00",
    ],
)
def test_an_output_without_a_query_is_invalid(output: str) -> None:
    with pytest.raises(GenerationInvalid):
        read(output, finished=False)


def test_one_cut_off_word_is_no_query() -> None:
    with pytest.raises(GenerationInvalid):
        read("electio", finished=False)
    assert read("elections", finished=True) == ["elections"]


@pytest.mark.parametrize("line", ["#1", "- #1", "1. #1", '"#1"', "#1.", "**#1**", "Query: #1"])
def test_a_reference_searches_with_the_words_of_its_signal(line: str) -> None:
    [query] = parse(line, SHOWN, finished=True, max_queries=8)
    assert query == Query("Fed signals interest rate cut", signals=("n1",))


def test_several_references_on_a_line_are_queries_of_their_own() -> None:
    assert read("#2, #3", SHOWN) == ["running shoes", "earthquake Turkey help"]


def test_a_reference_leaves_out_what_tells_nothing_about_news() -> None:
    shown = (
        signal("nike mens running shoes size 43, black", "purchase", id="p1"),
        signal("facebook login", "search", id="s1"),
        signal("what is the best way to prune apple trees", "search", id="s2"),
    )
    assert read("#1 #2 #3", shown) == ["nike running shoes", "way prune apple trees"]
    with pytest.raises(GenerationInvalid):
        read("#2", shown)


def test_a_reference_to_a_signal_that_is_not_shown_is_left_out() -> None:
    assert read("#0\n#4\n#2", SHOWN) == ["running shoes"]


def test_a_cut_off_reference_is_not_trusted() -> None:
    assert read("#2\n#1", SHOWN, finished=False) == ["running shoes"]
    for cut in ("#2 #1", "#2 #", "#2 ", "#2, #1"):
        assert read(f" {cut}", SHOWN, finished=False) == ["running shoes"]
    for cut in ("#", "#1", "1"):
        with pytest.raises(GenerationInvalid):
            read(cut, SHOWN, finished=False)


def test_a_long_signal_is_cut_to_the_bounds_of_a_query() -> None:
    [query] = read("#1", (signal("word " * 90),))
    assert query == " ".join(["word"] * MAX_WORDS)


def test_a_written_query_is_linked_to_the_signals_whose_words_it_shares() -> None:
    queries = parse("fed interest rate\nlunar eclipse", SHOWN, finished=True, max_queries=8)
    assert [query.signals for query in queries] == [("n1",), ()]


def test_every_query_weighs_one_and_is_the_students() -> None:
    queries = parse("a storm\n#2", SHOWN, finished=True, max_queries=8)
    assert {(query.weight, query.origin) for query in queries} == {(1.0, "student")}


def test_a_line_somewhat_too_long_is_cut_at_a_word_and_prose_is_left_out() -> None:
    long = " ".join(f"word{i}" for i in range(MAX_WORDS + 4))
    prose = " ".join(f"other{i}" for i in range(2 * MAX_WORDS + 1))
    assert read(f"{long}\n{prose}") == [" ".join(long.split()[:MAX_WORDS])]


def test_a_word_without_end_is_left_out() -> None:
    assert read("x" * 1000 + "\nstorm warning") == ["storm warning"]


def test_the_first_queries_are_taken_when_there_are_too_many() -> None:
    assert read("storm\nflood\ndrought", max_queries=2) == ["storm", "flood"]


def test_blocked_lines_are_left_out_however_they_are_dressed() -> None:
    blocked = ("Write one search query a line.",)
    assert read("1. Write one search query a line\nstorm", blocked=blocked) == ["storm"]


@given(st.text(max_size=400), st.booleans(), st.integers(1, 32))
@example('["' + "'" * 50, False, 8)
@example("<" * 60 + "think>", True, 8)
@example("#1 #2", True, 1)
def test_whatever_comes_is_read_into_clean_queries_or_refused(
    text: str, finished: bool, max_queries: int
) -> None:
    try:
        queries = parse(text, SHOWN, finished=finished, max_queries=max_queries)
    except GenerationInvalid:
        return
    assert 1 <= len(queries) <= max_queries
    for query in queries:
        assert len(query.text.split()) <= MAX_WORDS
        assert len(query.text) <= MAX_CHARS
        assert query.text == " ".join(query.text.split())
        assert any(c.isalnum() for c in query.text)
        query.text.encode()  # no lone surrogates
        assert not re.search("[\u200b\x00\ufeff]", query.text)
    found = [stems(query.text) for query in queries]
    assert not any(alike(a, b, DUPLICATE) for i, a in enumerate(found) for b in found[:i])


_QUERY = st.lists(
    st.sampled_from(
        [
            "storm",
            "flood",
            "senate",
            "comet",
            "vaccine",
            "opera",
            "tariff",
            "glacier",
            "strike",
            "harbor",
        ]
    ),
    min_size=2,
    max_size=5,
    unique=True,
).map(" ".join)


@given(st.lists(_QUERY, min_size=1, max_size=6))
def test_queries_in_the_documented_format_come_back_as_written_but_for_those_alike(
    lines: list[str],
) -> None:
    found = read("\n".join(lines) + "\n", max_queries=32)
    assert found == [line for line in dict.fromkeys(lines) if line in found]
    for line in set(lines) - set(found):
        assert any(alike(stems(line), stems(query), DUPLICATE) for query in found)


@given(st.lists(_QUERY, min_size=1, max_size=6), st.integers(0, 60))
def test_cutting_an_output_short_never_invents_a_query(lines: list[str], cut: int) -> None:
    whole = "\n".join(lines) + "\n"
    part = whole[: len(whole) - cut]
    try:
        found = read(part, finished=False, max_queries=32)
    except GenerationInvalid:
        return
    if "\n" in part:
        assert set(found) <= set(lines)
    else:
        assert [lines[0].startswith(query) for query in found] == [True]


@pytest.mark.parametrize(
    "piece", ["[", "[\n", '["', "{'a':", "<think>", "- ", "**", "#1 ", "1. ", '", "', "\\"]
)
def test_enormous_output_is_read_up_to_a_bound(piece: str) -> None:
    found = read("storm warning\n" + piece * 300_000 + "\nferry strike\n", max_queries=32)
    assert found[0] == "storm warning"
    assert "ferry strike" not in found


@pytest.mark.parametrize(
    ("line", "query"),
    [
        ("glasses glasses glasses Glasses", "glasses"),
        ("Evo Morales Evo Morales protests", "Evo Morales protests"),
        ("war, war and peace", "war, and peace"),
        ("the cat and the dog", "the cat and the dog"),
        ("dress and dresses", "dress and dresses"),
    ],
)
def test_a_query_says_a_telling_word_once(line: str, query: str) -> None:
    assert read(line) == [query]
