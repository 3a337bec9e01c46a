"""The lists of each language."""

from __future__ import annotations

from itertools import chain

import pytest
import Stemmer
from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

from service.languages import ENGLISH, LANGUAGES, Language
from service.records import Domain
from service.words.listed import lists_of, snowball_stop_words
from service.words.noise import telling_words
from service.words.text import small_words, stem_all, words

LISTED = [language for language in LANGUAGES if snowball_stop_words(language)]
OURS: list[Language] = ["english", "german", "danish"]


def entries(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split()
    if isinstance(value, dict):
        return list(chain.from_iterable(entries(part) for part in value.values()))
    return []


@pytest.mark.parametrize("language", LANGUAGES)
def test_signals_are_stemmed_as_the_embedded_index_stems_articles(language: Language) -> None:
    stemmer = TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.stemmer(language)).build()
    said = sorted(small_words(language)) or ["ειδήσεις", "أخبار", "știrile", "செய்திகள்"]
    assert stem_all(said, language) == [stemmer.analyze(word)[0] for word in said]
    assert language in Stemmer.algorithms()


@pytest.mark.parametrize("language", LISTED)
def test_a_stop_list_is_the_one_that_tantivy_has_of_the_language(language: Language) -> None:
    lists = TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.stopword(language)).build()
    assert not lists.analyze(" ".join(snowball_stop_words(language)))


def test_the_languages_with_a_stop_list_are_all_but_four_and_english() -> None:
    missing = set(LANGUAGES) - set(LISTED)
    assert missing == {"arabic", "greek", "romanian", "tamil", ENGLISH}


@pytest.mark.parametrize("language", OURS)
def test_every_word_in_our_lists_can_be_met_in_a_text(language: Language) -> None:
    """It is in lower case, and one word as texts are read."""
    found = entries({name: of for name, of in lists_of(language).items() if name != "stop"})
    assert len(found) > 100
    assert [word for word in found if words(word.lower()) != [word]] == []


@pytest.mark.parametrize(
    ("language", "domain", "text", "telling"),
    [
        ("german", "search", "wie backt man ein brot", "backt brot"),
        ("german", "search", "iphone 15 preis", "iphone 15"),
        ("german", "search", "günstige flüge preis", "flüge"),
        ("german", "search", "warum steigen die strompreise", "steigen strompreise"),
        ("german", "search", "preis für kaffee", "preis kaffee"),
        ("german", "search", "facebook anmelden", ""),
        ("german", "browse", "Startseite | SPIEGEL", ""),
        (
            "german",
            "browse",
            "Bundestag beschließt neues Gesetz - DER SPIEGEL",
            "Bundestag beschließt neues Gesetz",
        ),
        (
            "german",
            "browse",
            "Zugtickets Hamburg – Lissabon Schlafwagen",
            "Zugtickets Hamburg Lissabon Schlafwagen",
        ),
        ("german", "purchase", "Damen Laufschuhe Größe 40 blau", "Laufschuhe"),
        ("german", "video", "Der Tatort Staffel 3 Folge 2", "Tatort"),
        ("german", "news", "Das Weiße Haus reagiert", "Weiße Haus reagiert"),
        ("danish", "search", "hvordan bager man et brød", "bager brød"),
        ("danish", "search", "iphone 15 pris", "iphone 15"),
        ("danish", "search", "billige flybilletter pris", "flybilletter"),
        ("danish", "search", "priserne falder", "priserne falder"),
        ("danish", "search", "facebook login", ""),
        ("danish", "browse", "Forside | DR", ""),
        (
            "danish",
            "browse",
            "Regeringen vil hæve afgiften - Politiken",
            "Regeringen hæve afgiften",
        ),
        ("danish", "purchase", "Løbesko til damer str 40 blå", "Løbesko"),
        ("danish", "video", "Badehotellet sæson 3 afsnit 2", "Badehotellet"),
        ("french", "search", "le prix du café", "prix café"),
    ],
)
def test_each_language_has_small_words_and_ours_have_noise_of_their_own(
    language: Language, domain: Domain, text: str, telling: str
) -> None:
    assert " ".join(telling_words(text, domain, language)) == telling
