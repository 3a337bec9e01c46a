"""What in a signal's text says nothing about the news its user wants. Pure; the lists are ours."""

from __future__ import annotations

import re
from functools import lru_cache

from service.records import Domain
from service.words.text import STOP_WORDS, clean, word_set, words

_SEARCHED_FOR = word_set(
    """
    best cheap cheapest top near nearby buy buying price prices pricing cost costs online order deal
    deals discount discounts coupon coupons promo code sale free shipping delivery review reviews
    rated vs versus tutorial tutorials guide tips ideas meaning definition synonym pdf download
    template calculator converter reddit wiki wikipedia youtube video videos today tonight now
    latest news
    """
)
_SHOPPED = word_set(
    """
    pack packs set sets pair pairs count ct pcs pc piece pieces size sizes small medium large xs xl
    xxl xxxl men mens men's women womens women's kids kid's boys girls unisex adult adults new
    renewed refurbished edition version model generation gen series black white red blue green grey
    gray silver gold pink purple brown beige navy yellow orange rose space multicolor assorted color
    colour inch inches ft feet cm mm oz ounce ounces lb lbs pound pounds kg gram grams ml liter
    litre fl quart gallon gb tb mb watt watts volt compatible replacement premium quality
    lightweight portable durable bundle includes included pro plus max mini ultra
    """
)
_WATCHED = word_set(
    """
    official video videos trailer teaser full episode ep season live stream streaming hd uhd 4k
    1080p lyrics lyric audio vlog unboxing reaction compilation playlist subscribe channel shorts
    clip clips highlights watch watching tutorial
    """
)
_READ = word_set(
    """
    home page homepage website site official welcome login account menu untitled news latest
    """
)
NOISE: dict[Domain, frozenset[str]] = {
    "search": _SEARCHED_FOR,
    "browse": _READ,
    "purchase": _SEARCHED_FOR | _SHOPPED,
    "video": _WATCHED,
    "news": frozenset(),
}

_GOING_SOMEWHERE = word_set(
    """
    login logins logon signin signup logout webmail homepage website portal download app
    """
)
_PLACES_TO_GO = word_set(
    """
    facebook youtube gmail google amazon netflix instagram twitter tiktok whatsapp linkedin ebay
    yahoo outlook hotmail wikipedia reddit pinterest spotify twitch craigslist walmart bing discord
    translate maps mail email
    """
)
# Dotted runs are tried where they begin and without backtracking, so that a text is read once
# however many dots it has; which of them are addresses is for `_without_address` to say.
_DOTTED = re.compile(
    r"(?P<url>(?:https?://|www\.)\S+)"
    r"|(?<![\w.-])(?P<names>[\w-]++(?:\.[\w-]++)++)(?P<path>/\S*)?",
    re.I,
)
_TOP_LEVEL = word_set("com org net co uk gov edu io tv info de fr")
_SIGN_IN = re.compile(r"\b(log|sign)[ -](in|on|up|out)\b", re.I)
_SITE_SUFFIX = re.compile(r"\s+[|–—»-]\s+(?P<site>[^|–—»]{1,40})$")
_MEASURE = re.compile(
    r"\d+(?:[.,x/]\d+)*(?:[a-z]{1,4})?|[a-z]+-?\d+[a-z\d]*|\d+[a-z]+\d[a-z\d]*", re.I
)
_MODEL_NUMBER = re.compile(r"\b[a-z]+-\d{3,}\w*", re.I)
_SITE_WORDS = 4
"""Words up to which what stands behind the last bar or dash of a page title is the site's name."""
_SHORT_SEARCH = 5
"""Words up to which a search or a page title with "login" in it is on its way to a site."""


MAX_CHARS = 512
"""Characters of a signal that are read: as much as is ever stored of one."""


def telling_words(text: str, domain: Domain) -> list[str]:
    """The words of a signal that may find news, as written and in order; empty where none may.

    Taken out: stop words (so "how to", "what is"), addresses, the site's name behind a page title,
    shopping and video talk in those domains, and of purchases sizes, colours and model numbers.
    Searches that only lead to a site ("facebook login") are empty.
    """
    plain = clean(text[:MAX_CHARS])
    if "." in plain or "/" in plain:
        plain = _DOTTED.sub(_without_address, plain)
    if domain in ("search", "browse") and _leads_to_a_site(plain):
        return []
    if domain == "purchase":
        plain = _MODEL_NUMBER.sub(" ", plain)
    found = _telling(plain, domain)
    head = plain
    if domain in ("browse", "video") and (suffix := _SITE_SUFFIX.search(plain)):
        if len(words(suffix["site"])) <= _SITE_WORDS:
            head = plain[: suffix.start()]
    elif domain == "purchase":  # what comes after a comma are its properties
        head = plain.split(",")[0]
    if head is not plain and len(short := _telling(head, domain)) >= 2:
        found = short
    return found if any(any(c.isalpha() for c in word) for word in found) else []


@lru_cache(maxsize=4096)
def telling_text(text: str, domain: Domain) -> str:
    """The telling words as a query; empty where there are none.

    The same signals come back with every request of a user, hence the cache.
    """
    return " ".join(telling_words(text, domain))


def _without_address(dotted: re.Match[str]) -> str:
    """What is no address in `shop.example.com/sale` (nothing) or in `U.S.` (all of it)."""
    if dotted["url"]:
        return " "
    names, path = dotted["names"].split("."), dotted["path"] or ""
    for last in range(len(names) - 1, 0, -1):
        top, dash, more = names[last].partition("-")
        if top.lower() in _TOP_LEVEL:
            behind = ".".join([dash + more, *names[last + 1 :]])
            return f" {behind}{path}" if behind else " "
    return dotted[0]


def _telling(plain: str, domain: Domain) -> list[str]:
    noise = NOISE[domain]
    shouted = plain.isupper()
    telling = []
    for word in words(plain):
        low = word.lower()
        acronym = (
            len(word) > 1 and word.isupper() and not shouted
        )  # "US" and "WHO" are no stop words
        if low in noise or (low in STOP_WORDS and not acronym):
            continue
        if len(low) == 1 and low.isascii() and low.isalpha():
            continue
        if domain == "purchase" and _MEASURE.fullmatch(low):
            continue
        telling.append(word)
    return telling


def _leads_to_a_site(plain: str) -> bool:
    lowered = words(_SIGN_IN.sub(r"\1\2", plain.lower()))
    if not lowered or len(lowered) > _SHORT_SEARCH:
        return False
    if any(word in _GOING_SOMEWHERE for word in lowered):
        return True
    return all(word in _PLACES_TO_GO or word in STOP_WORDS for word in lowered)
