"""Words that say nothing about the news a user wants: lists by language and domain. Ours.

Most of these words have a second life in the news: "price", "sale", "order", "live", "home". So a
list says where its words are noise, and a word that stands anywhere else stays: a word too many
costs a search little, a word too few costs it its meaning.

- `phrases`: several words, or a word and a number (`\\d+`), that are noise wherever they stand.
- `always`: noise anywhere.
- `telltale`: noise anywhere, and a sign that the words in `beside` are noise, too.
- `first`: noise as the first word of a text or of a part of it ("best electric bike"), though not
  before one of `beside` ("best buy layoffs").
- `last`: noise at the end, where several may stand in a row ("ukraine news today").
- `beside`: noise in a text that holds one of `telltale` or `phrases` ("cheap flights price").
- `numbered`: noise at the end of a text with a number that is no year ("iphone 15 price").
- `long`: noise at the end of three words or more ("replace gas boiler cost").
- `units`, `sizes`: noise behind a number, or before one ("6 ft", "size 10").

Of a text with a word of `sentence` in it ("why coffee prices rise") only `phrases`, `first` and
`last` are taken out: who writes in sentences does not shop. A word before one of `of` ("price of
oil") stays as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from service.languages import Language
from service.records import Domain
from service.words.listed import lists_of

_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class DomainTalk:
    """The lists of one domain; `service.words.talk` says what each is for."""

    phrases: re.Pattern[str] = _NEVER
    always: frozenset[str] = frozenset()
    telltale: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    last: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    numbered: frozenset[str] = frozenset()
    long: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    sizes: frozenset[str] = frozenset()

    anywhere: frozenset[str] = field(init=False)
    """Words that may be noise wherever they stand."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "anywhere", self.always | self.telltale | self.beside)


@dataclass(frozen=True, slots=True)
class Talk:
    """A language's lists; all are empty where we have none."""

    domains: Mapping[Domain, DomainTalk]
    sentence: frozenset[str]
    of: frozenset[str]
    login: frozenset[str]
    """At an end of a short search they lead to a site."""
    way: frozenset[str]
    """At its end they do."""
    sites: frozenset[str]
    """A search of nothing else leads there."""
    publishers: frozenset[str]
    """Words of sites' names, as they stand behind the titles of pages."""
    nouns_are_capital: bool
    """Whether a capital letter says nothing about a word's being a name."""


@cache
def talk_of(language: Language) -> Talk:
    """The lists of a language."""
    lists = lists_of(language)
    domains = lists.get("domains", {})
    return Talk(
        domains={domain: _domain(given) for domain, given in domains.items()},
        sentence=_words(lists, "sentence"),
        of=_words(lists, "of"),
        login=_words(lists, "login"),
        way=_words(lists, "way"),
        sites=_words(lists, "sites"),
        publishers=_words(lists, "publishers") | _words(lists, "sites"),
        nouns_are_capital=lists.get("nouns_are_capital", False),
    )


def _domain(given: Mapping[str, Any]) -> DomainTalk:
    phrases = given.get("phrases", ())
    return DomainTalk(
        phrases=re.compile(rf"\b(?:{'|'.join(phrases)})\b", re.I) if phrases else _NEVER,
        **{name: _words(given, name) for name in given if name != "phrases"},
    )


def _words(lists: Mapping[str, Any], name: str) -> frozenset[str]:
    return frozenset(lists.get(name, "").split())
