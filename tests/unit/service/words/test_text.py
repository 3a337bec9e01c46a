from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from service.words.text import alike, clean, shorten, stem_all, stems, words


def test_words_keep_their_inner_apostrophes_and_dots() -> None:
    assert words("Trump’s U.S. tour, 3.5 million!") == ["Trump's", "U.S", "tour", "3.5", "million"]


def test_stems_join_the_forms_of_a_word() -> None:
    assert stems("Elections in cities") == stems("the election of a city")


def test_a_text_of_stop_words_alone_keeps_them() -> None:
    assert stems("The Who") == set(stem_all(["the", "who"]))


def test_texts_without_words_are_like_nothing() -> None:
    assert not alike(stems("!!"), stems("??"), 0.5)


def test_a_word_that_is_too_long_leaves_nothing() -> None:
    assert shorten("x" * 200 + " y", 16, 160) == ""


@given(st.text())
def test_clean_text_is_one_line_of_visible_composed_characters(text: str) -> None:
    cleaned = clean(text)
    assert cleaned == " ".join(cleaned.split())
    assert unicodedata.is_normalized("NFC", cleaned)
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co"} for c in cleaned)
    assert clean(cleaned) == cleaned
