"""The embedded index's analysis, and the bound of queries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.retrieval.indexes.analysis import (
    MAX_CHARS,
    MAX_WORDS,
    PADDING,
    bounded,
    build_analyzer,
)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The Running dogs", ["run", "dog"]),
        ("don't U.S.A. O'Neil's", ["don't", "u.s.a", "o'neil"]),
        ("1,000.5 b1.5 10:30 50% x_y AT&T", ["1,000.5", "b1.5", "10", "30", "50", "x_i", "t"]),
        ("日本 カタカナ 한국어", ["日", "本", "カタカナ", "한국어"]),
        ("… -- !!", []),
    ],
)
def test_text_is_cut_where_lucenes_standard_tokenizer_cuts_it(text: str, terms: list[str]) -> None:
    assert build_analyzer().analyze(text) == terms


@given(st.text())
def test_a_bounded_query_stays_small_and_can_not_hold_the_padding(text: str) -> None:
    short = bounded(text)
    assert len(short) <= MAX_CHARS
    assert len(short.split()) <= MAX_WORDS
    assert PADDING not in short


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=4), max_size=MAX_WORDS))
def test_a_short_query_is_left_whole(words: list[str]) -> None:
    assert bounded("  ".join(words)) == " ".join(words)
