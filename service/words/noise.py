"""What in a signal's text says nothing about the news its user wants. Pure.

The words are listed in `talk`, which has the rule, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from service.languages import ENGLISH, Language
from service.records import Domain
from service.words.sites import leads_to_a_site, without_address, without_site
from service.words.talk import DomainTalk, Talk, talk_of
from service.words.text import clean, small_words, words

# Where a part of a title ends: at a bar, a bracket, a comma or colon before a blank, a lone dash.
_PART = re.compile(r"[|»;()\[\]]|[,:](?=\s|$)|\s[-–—](?=\s)")
_MEASURE = re.compile(
    r"\d+(?:[.,x/]\d+)*(?:[a-z]{1,4})?|[a-z]+-?\d+[a-z\d]*|\d+[a-z]+\d[a-z\d]*", re.I
)
_DIGIT = re.compile(r"\d")
_YEAR = re.compile(r"(?:19|20)\d\d")
_MODEL_NUMBER = re.compile(r"\b[a-z]+-\d{3,}\w*", re.I)

MAX_CHARS = 512
"""Characters of a signal that are read: as much as is ever stored of one."""


def telling_words(text: str, domain: Domain, language: Language = ENGLISH) -> list[str]:
    """The words of a signal that may find news, as written and in order; empty where none may.

    Taken out: stop words (so "how to", "what is"), addresses, the site's name behind a page title,
    and shopping, page and video talk in those domains where it is no more than that (`talk` has the
    rule); of purchases sizes and model numbers, too. Searches that only lead to a site ("facebook
    login") are empty, and so are pages' titles that tell nothing beside it ("Home | BBC").
    """
    talk, small = talk_of(language), small_words(language)
    plain = without_address(clean(text[:MAX_CHARS]))
    if domain in ("search", "browse") and leads_to_a_site(_parts(plain, domain), talk, small):
        return []
    if domain == "purchase":
        plain = _MODEL_NUMBER.sub(" ", plain)
    head, known = plain, False
    if domain in ("browse", "video"):
        head, known = without_site(plain, domain, talk, small)
    elif domain == "purchase":  # what comes after a comma are its properties
        head = plain.split(",")[0]
    found = _telling(head, domain, talk, small)
    # What is left may say too little: then what was cut off was more than a name, or than
    # properties. Of a page whose site we know there is no more to say.
    if head != plain and len(found) < 2 and not known:
        found = _telling(plain, domain, talk, small)
    return found if any(map(_has_letter, found)) else []


def _has_letter(word: str) -> bool:
    return word.isalpha() or any(c.isalpha() for c in word)


@lru_cache(maxsize=16_384)
def telling_text(text: str, domain: Domain, language: Language = ENGLISH) -> str:
    """The telling words as a query; empty where there are none.

    The same signals come back with every request of a user, hence the cache.
    """
    return " ".join(telling_words(text, domain, language))


def _parts(plain: str, domain: Domain) -> list[str]:
    """What stands between the marks of a title. A search is typed as one."""
    return [plain] if domain == "search" else _PART.split(plain)


@dataclass(frozen=True, slots=True)
class _Company:
    """What a text says of the words in it."""

    always: bool
    """Whether words that are noise anywhere are noise in this text."""
    beside: bool
    """Whether those that are noise beside such a word are."""
    numbered: bool
    """Whether those that are noise behind a number are, at its end."""


def _telling(plain: str, domain: Domain, talk: Talk, small: frozenset[str]) -> list[str]:
    lists = talk.domains.get(domain) or DomainTalk()
    plain, phrases = lists.phrases.subn(" ", plain)
    parts = [words(part) for part in _parts(plain, domain)]
    # Letters of some scripts are more than one in lower case, and then part words.
    lowered = [w.lower() for p in parts for w in p] if plain.isascii() else words(plain.lower())
    shops = talk.sentence.isdisjoint(lowered)
    counts = _DIGIT.search(plain) is not None  # else no word of it is a number
    company = _Company(
        always=shops,
        beside=shops and (phrases > 0 or not lists.telltale.isdisjoint(lowered)),
        numbered=counts and shops and any(map(_is_number, lowered)),
    )
    shouted = plain.isupper()
    bought = domain == "purchase"
    telling: list[str] = []
    for written in parts:
        low = [word.lower() for word in written]
        names = _names(written) if domain == "search" and not talk.nouns_are_capital else ()
        kept = []
        for at, word in enumerate(low):
            if word in small and (shouted or len(word) == 1 or not written[at].isupper()):
                continue  # "US" and "WHO" are no stop words
            if len(word) == 1 and word.isascii() and word.isalpha():
                continue
            if bought and _is_measure(at, low, lists, talk):
                continue
            if (
                at in names
                or word not in lists.anywhere
                or not _says_nothing(at, low, lists, company, talk)
            ):
                kept.append(at)
        _trim(kept, low, lists, company, names)
        telling += [written[at] for at in kept]
    return telling


def _says_nothing(
    at: int, low: Sequence[str], lists: DomainTalk, company: _Company, talk: Talk
) -> bool:
    """Whether a word is noise where it stands, wherever in its part that is."""
    word = low[at]
    if company.always and (word in lists.always or word in lists.telltale):
        return True
    return company.beside and word in lists.beside and not _has_of(at, low, talk)


def _has_of(at: int, low: Sequence[str], talk: Talk) -> bool:
    return at + 1 < len(low) and low[at + 1] in talk.of


def _is_measure(at: int, low: Sequence[str], lists: DomainTalk, talk: Talk) -> bool:
    """Whether it is a number, or says what a number beside it counts."""
    if _MEASURE.fullmatch(low[at]):
        return True
    if low[at] in lists.units and at and _MEASURE.fullmatch(low[at - 1]):
        return True
    behind = at + 2 if _has_of(at, low, talk) else at + 1
    following = low[behind : behind + 1]
    return low[at] in lists.sizes and any(
        len(word) == 1 or word in lists.always or _MEASURE.fullmatch(word) for word in following
    )


def _trim(
    kept: list[int],
    low: Sequence[str],
    lists: DomainTalk,
    company: _Company,
    names: Collection[int],
) -> None:
    """Take noise off both ends: a run of it behind, one word in front."""
    while kept and kept[-1] not in names:
        word, before = low[kept[-1]], low[kept[-2]] if len(kept) > 1 else ""
        counted = word in lists.numbered or (before in lists.numbered and _is_number(word))
        if not (
            word in lists.last
            or (company.numbered and counted)
            or (company.always and word in lists.long and len(kept) > 2)
        ):
            break
        kept.pop()
    following = low[kept[1]] if len(kept) > 1 else ""
    leads = kept and kept[0] not in names and low[kept[0]] in lists.first
    if leads and following not in lists.beside:  # a shop may be called "Best Buy"
        kept.pop(0)


def _is_number(word: str) -> bool:
    return bool(_MEASURE.fullmatch(word)) and not _YEAR.fullmatch(word)


def _names(written: Sequence[str]) -> frozenset[int]:
    """Places of words with a capital in a text that has others without.

    The first word of a text has one anyway: it counts where the second has one, too.
    """
    capital = [word[0].isupper() for word in written]
    if not any(word[0].islower() and len(word) > 3 for word in written):
        return frozenset()
    first = 0 if capital[1:2] == [True] else 1
    return frozenset(at for at in range(first, len(written)) if capital[at])
