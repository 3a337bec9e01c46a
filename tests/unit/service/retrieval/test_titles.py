"""Which titles are one story."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.retrieval.titles import TitleIndex

LONG = "Council votes to reopen the old harbour bridge after two years of repairs"


def first_repeated(*titles: str, threshold: float = 0.7) -> list[int | None]:
    index = TitleIndex(threshold)
    return [index.add(title) for title in titles]


def test_case_punctuation_and_spacing_do_not_count():
    assert first_repeated(LONG, LONG.upper().replace(" ", "  ") + "!") == [None, 0]


def test_a_prefix_or_a_word_more_is_the_same_story():
    assert first_repeated(LONG, f"UPDATE: {LONG}", LONG.replace("old", "old, narrow")) == [
        None,
        0,
        0,
    ]


def test_the_same_words_in_another_order_are_another_story():
    assert first_repeated("man bites dog", "dog bites man") == [None, None]


def test_titles_that_share_a_phrase_are_different_stories():
    other = "Council votes to close the new airport tunnel before the winter season"
    assert first_repeated(LONG, other) == [None, None]


def test_titles_without_a_word_repeat_nothing():
    assert first_repeated("", "", "…") == [None, None, None]


def test_single_words_compare_as_words():
    assert first_repeated("Earthquake", "earthquake", "Flood") == [None, 0, None]


words = st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"])
titles = st.lists(st.lists(words, max_size=9).map(" ".join), max_size=12)


@given(titles, st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_the_index_finds_just_what_comparing_all_pairs_finds(texts: list[str], threshold: float):
    def pairs(text: str) -> set[str]:
        split = text.split()
        return {" ".join(p) for p in pairwise(split)} or set(split)

    kept: list[set[str]] = []
    expected: list[int | None] = []
    for text in texts:
        mine = pairs(text)
        repeated = next(
            (
                i
                for i, theirs in enumerate(kept)
                if mine and theirs and len(mine & theirs) >= threshold * len(mine | theirs) - 1e-9
            ),
            None,
        )
        expected.append(repeated)
        if repeated is None:
            kept.append(mine)
    assert first_repeated(*texts, threshold=threshold) == expected
