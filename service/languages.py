"""The languages that articles and signals may be in.

A language is here where both indexes stem it alike: Snowball's stemmer in tantivy and in Lucene
(docs/getting-data-in.md has the table, tests/integration/test_index_twin.py the proof).
"""

from __future__ import annotations

from typing import Literal, get_args

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
