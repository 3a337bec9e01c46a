"""How articles and queries become terms: one definition, `mapping.json`, for both indexes.

Standard tokenizer (Unicode text segmentation, UAX #29), lowercase, one stop list, a Snowball
stemmer. The file is of English; `definition` puts another language's stop list and stemmer in their
places. OpenSearch is given the definition; the embedded index rebuilds it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

from service.errors import ConfigurationError
from service.languages import ENGLISH, Language
from service.words.listed import snowball_stop_words

FIELDS: tuple[tuple[str, float], ...] = (("title", 2.0), ("abstract", 1.0), ("body", 1.0))
"""The fields that are searched, with their boosts. A hit's score is the sum over them."""

K1 = 1.2
"""BM25's saturation of term frequency, as in Lucene and in tantivy."""

MAX_WORDS = 64
MAX_CHARS = 320
"""A query is cut here. Every character can be a term of its own (ideographs), each term is looked
up in three fields, and OpenSearch refuses a query of more than 1,024 clauses."""

PADDING = "\ue000"
"""A private character that is a term in the embedded index and never part of a query: see
`tantivy_documents`."""

LANGUAGE = "interests_language"
"""In the mapping's `_meta`: the language that the index was built for."""

_ANALYZER, _STOP, _STEM = "news", "news_stop", "news_stem"

# Word boundaries of UAX #29 as one expression, with what Lucene's StandardTokenizer emits: words,
# numbers, Katakana runs, single ideographs and Hiragana, runs of South-East Asian scripts, emoji.
# The colon joins letters in the Unicode version that Lucene follows; later versions dropped it.
_X = r"[\p{wb=Extend}\p{wb=Format}\p{wb=ZWJ}]*"
_LETTER = rf"[\p{{wb=ALetter}}\p{{wb=Hebrew_Letter}}]{_X}"
_DIGIT = rf"\p{{wb=Numeric}}{_X}"
_BETWEEN = r"\p{wb=MidNumLet}\p{wb=Single_Quote}"
_LETTERS = rf"(?:{_LETTER})+(?:[{_BETWEEN}\p{{wb=MidLetter}}:]{_X}(?:{_LETTER})+)*"
_DIGITS = rf"(?:{_DIGIT})+(?:[{_BETWEEN}\p{{wb=MidNum}}]{_X}(?:{_DIGIT})+)*"
_KATAKANA = rf"(?:\p{{wb=Katakana}}{_X})+"
_WORD = rf"(?:(?:{_LETTERS}|{_DIGITS})+|{_KATAKANA})"
_LINK = rf"(?:\p{{wb=ExtendNumLet}}{_X})"
_SOUTH_EAST = rf"[\p{{Thai}}\p{{Lao}}\p{{Khmer}}\p{{Myanmar}}]{_X}"
_TOKEN = "|".join(
    [
        rf"(?:{_SOUTH_EAST})+",
        rf"[\p{{Han}}\p{{Hiragana}}]{_X}",
        rf"{_LINK}*{_WORD}(?:{_LINK}+{_WORD})*{_LINK}*",
        PADDING,
        rf"\p{{Emoji_Presentation}}{_X}(?:\x{{200D}}\p{{Extended_Pictographic}}{_X})*",
    ]
)


@cache
def definition(language: Language = ENGLISH) -> Mapping[str, Any]:
    """Settings and mappings of an index, as OpenSearch takes them. Not to be changed."""
    raw = files("service.retrieval.indexes").joinpath("mapping.json").read_bytes()
    loaded: dict[str, Any] = orjson.loads(raw)
    if language != ENGLISH:
        filters = loaded["settings"]["analysis"]["filter"]
        filters[_STOP]["stopwords"] = sorted(snowball_stop_words(language))
        filters[_STEM]["language"] = language.capitalize()
        loaded["mappings"]["_meta"][LANGUAGE] = language
    return loaded


def language_of(meta: Mapping[str, Any]) -> object:
    """The language that the `_meta` of a mapping names. One that names none is of English."""
    return meta.get(LANGUAGE, ENGLISH)


def stemmed_as(analysis: object) -> str | None:
    """The language of an analysis, in small letters; None for one that is not like ours."""
    match analysis:
        case {"filter": {"news_stem": {"language": str(language)}}}:
            return language.lower()
    return None


def schema_version() -> int:
    """The version that is written into every index and asked for before one is used."""
    return int(definition()["mappings"]["_meta"]["interests_schema"])


def build_analyzer(language: Language = ENGLISH) -> TextAnalyzer:
    """The analyzer of the language's definition for the embedded index.

    Raises `ConfigurationError` for a definition that has no embedded counterpart.
    """
    analysis = definition(language)["settings"]["analysis"]
    analyzer = analysis["analyzer"][_ANALYZER]
    if analyzer["tokenizer"] != "standard":
        raise ConfigurationError("mapping.json: the embedded index knows the standard tokenizer")
    builder = TextAnalyzerBuilder(Tokenizer.regex(_TOKEN))
    for name in analyzer["filter"]:
        builder = builder.filter(_filter(name, analysis["filter"].get(name, {"type": name})))
    return builder.build()


def _filter(name: str, options: Mapping[str, Any]) -> Filter:
    match options:
        case {"type": "lowercase"}:
            return Filter.lowercase()
        case {"type": "stop", "stopwords": list(words)}:
            return Filter.custom_stopword(words)
        case {"type": "snowball", "language": language}:
            return Filter.stemmer(language)
    raise ConfigurationError(f"mapping.json: the embedded index has no filter like {name}")


def bounded(text: str) -> str:
    """The part of a query that is searched: its first words, at most `MAX_CHARS` characters."""
    words = text[: 4 * MAX_CHARS].replace(PADDING, " ").split()
    return " ".join(words[:MAX_WORDS])[:MAX_CHARS]
