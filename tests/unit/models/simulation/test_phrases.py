"""Key phrases of headlines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.simulation.phrases import (
    Rarity,
    key_phrases,
    sentence_case,
    stretches,
    written_small,
)
from service.words.text import clean

TEXTS = [
    "Ferry strike leaves island without bread",
    "Ferry strike enters third week",
    "Island council meets over ferry strike",
    "Bakers prize goes to village",
]
RARITY = Rarity.of(TEXTS)


def test_a_phrase_does_not_run_across_stop_words_or_punctuation() -> None:
    assert stretches("Bread and butter: the Mayor's plan") == [
        ["Bread"],
        ["butter"],
        ["Mayor", "plan"],
    ]


def test_a_rare_stem_is_worth_more_than_a_common_one() -> None:
    assert RARITY("prize") > RARITY("ferri") > 0


SENTENCES = [
    "The strike began in May. Ferry workers want better pay, says Anna Berg.",
    "For the workers a strike in the US is news, and the ferry waits: Council members said so.",
]


def test_words_within_sentences_tell_names_from_others() -> None:
    small = written_small(SENTENCES)
    assert {"strike", "workers", "ferry"} <= small
    assert small.isdisjoint({"may", "anna", "berg", "us"})


def test_a_headline_in_sentence_case_keeps_its_names_and_its_first_word() -> None:
    small = written_small(SENTENCES)
    assert sentence_case("Workers Of US Ferry Strike, Says Anna Berg", small) == (
        "Workers Of US ferry strike, says Anna Berg"
    )


@given(st.text(max_size=120))
def test_a_key_phrase_is_made_of_the_texts_own_words(text: str) -> None:
    for phrase in key_phrases(text, RARITY):
        # Invisible characters join words, in the phrase as in what is read.
        assert all(word in clean(text) for word in phrase.split())
