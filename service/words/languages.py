"""The languages that articles and signals may be in. `lists/` holds the words of each.

A language is here where both indexes stem it alike: Snowball's stemmer in tantivy and in Lucene
(docs/getting-data-in.md has the table, tests/integration/test_index_twin.py the proof).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

import yaml

Language = Literal[
    "arabic",
    "danish",
    "english",
    "finnish",
    "french",
    "german",
    "greek",
    "hungarian",
    "italian",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "spanish",
    "swedish",
    "tamil",
]
"""Snowball's names. Dutch is missing, since tantivy and Lucene stem it by different rules, and
Turkish, since they put its İ into lower case differently."""

LANGUAGES: tuple[Language, ...] = get_args(Language)
ENGLISH: Language = "english"


@cache
def lists_of(language: Language) -> Mapping[str, Any]:
    """What the language's file says; nothing where it has none. Not to be changed."""
    file = files("service.words").joinpath("lists", f"{language}.yaml")
    if not file.is_file():
        return {}
    read: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return read


@cache
def snowball_stop_words(language: Language) -> frozenset[str]:
    """Snowball's stop words: what the indexes drop. None for a language without a list of theirs.

    English has a list of its own in `mapping.json`.
    """
    return frozenset(lists_of(language).get("stop", "").split())
