"""Key phrases of headlines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.data.phrases import Rarity, key_phrases, rising_words, stretches
from service.generation.text import clean, stems

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


def test_what_several_texts_share_rises_and_what_is_known_does_not() -> None:
    assert rising_words(TEXTS, Rarity(1000, {}), least=3) == ["Ferry strike"]
    assert rising_words(TEXTS, Rarity(1000, {}), without=stems("ferry"), least=3) == ["strike"]


@given(st.text(max_size=120))
def test_a_key_phrase_is_made_of_the_texts_own_words(text: str) -> None:
    for phrase in key_phrases(text, RARITY):
        # Invisible characters join words, in the phrase as in what is read.
        assert all(word in clean(text) for word in phrase.split())


@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=8))
def test_rising_words_never_repeat_a_stem(texts: list[str]) -> None:
    seen: set[str] = set()
    for phrase in rising_words(texts, RARITY):
        assert seen.isdisjoint(stems(phrase))
        seen |= stems(phrase)
