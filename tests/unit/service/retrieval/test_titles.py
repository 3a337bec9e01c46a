"""Which titles are one story."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.retrieval.titles import TitleIndex, without_source

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


@pytest.mark.parametrize(
    "title",
    [
        "Obituary",
        "OBITUARY",
        "Earthquake",
        "Letters to the editor",
        "Quote of the day",
        "Morning briefing",
        "In pictures",
        "Obituary | The New York Times",
        "Reuters: obituaries",
        "讣告",
    ],
)
def test_titles_that_stand_over_many_pieces_repeat_nothing(title: str):
    assert first_repeated(title, title, title) == [None, None, None]


def test_titles_of_scripts_without_blanks_are_compared_whole():
    first, second = "東京で大規模な停電が発生", "東京で大規模な火災が発生"
    assert first_repeated(first, second, first) == [None, None, 0]


SHORT = "Mayor Halle resigns"
SOURCES = (
    "Reuters",
    "REUTERS",
    "AP",
    "The Associated Press",
    "AFP",
    "Agence France-Presse",
    "dpa",
    "Xinhua",
    "Bloomberg",
    "BBC",
    "BBC News",
    "Sky News",
    "The New York Times",
    "The Guardian",
    "Washington Post",
    "Al Jazeera",
    "cnn.com",
    "www.ndtv.com",
    "USA Today",
)
FRAMES = (
    "{source}: {title}",
    "{source} - {title}",
    "{source} | {title}",
    "({source}) {title}",
    "[{source}] - {title}",
    "LONDON ({source}) - {title}",
    "UPDATE 2-{title}",
    "BREAKING: {title}",
    "{title} - {source}",
    "{title} – {source}",
    "{title} — {source}",
    "{title} | {source}",
    "{title} ({source})",
    "{title} [{source}]",
    "Exclusive: {title} | {source}",
    "{source}: {title} - {source}",
)


@given(st.sampled_from(SOURCES), st.sampled_from(FRAMES), st.sampled_from([SHORT, LONG]))
def test_a_wire_copy_with_the_name_of_who_brings_it_is_the_same_story(
    source: str, frame: str, title: str
):
    copy = frame.format(source=source, title=title)
    assert first_repeated(title, copy, threshold=1.0) == [None, 0]
    assert first_repeated(copy, title, threshold=1.0) == [None, 0]


@pytest.mark.parametrize(
    "title",
    [
        "Reuters names a new editor in chief",
        "Strike at the Associated Press ends",
        "Markets fall after the rate decision (analysis)",
        "Interview: Ingrid Halle on ferries",
        "Ferries - a history in ten pictures",
        "How the post office lost its letters",
        "AP classes grow in rural schools",
        "Ferries | Rates | Storms",
        "Today the vote on the harbour bridge",
    ],
)
def test_what_belongs_to_a_title_stays(title: str):
    assert without_source(title) == title.casefold()


@given(st.text(max_size=120))
def test_taking_the_source_off_ends_and_only_ever_shortens(title: str):
    rest = without_source(title)
    assert rest in title.casefold()
    assert without_source(rest) == rest


words = st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"])
titles = st.lists(st.lists(words, max_size=9).map(" ".join), max_size=12)


@given(titles, st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_the_index_finds_just_what_comparing_all_pairs_finds(texts: list[str], threshold: float):
    def pairs(text: str) -> set[str]:
        split = text.split()
        return {" ".join(p) for p in pairwise(split)} if len(split) >= 3 else set()

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
