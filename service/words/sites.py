"""What of a text is about a site and not about the news: addresses, names, the way there. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.records import Domain
from service.words.talk import Talk
from service.words.text import word_set, words

# Dotted runs are tried where they begin and without backtracking, so that a text is read once
# however many dots it has; which of them are addresses is for `_no_address` to say.
_DOTTED = re.compile(
    r"(?P<url>(?:https?://|www\.)\S+)"
    r"|(?<![\w.-])(?P<names>[\w-]++(?:\.[\w-]++)++)(?P<path>/\S*)?",
    re.I,
)
_TOP_LEVEL = word_set("com org net co uk gov edu io tv info de fr dk at ch")
_SIGN_IN = re.compile(r"^(log|sign)[ -](in|up|out)\b|\b(log|sign)[ -](in|on|up|out)$", re.I)
_SITE_SUFFIX = re.compile(r"\s+(?P<mark>[|–—»-])\s+(?P<site>[^|–—»]{1,40})$")
_SITE_WORDS = 4
"""Words up to which what stands behind the last bar or dash of a page title is the site's name."""
_SHORT_SEARCH = 5
"""Words up to which a search or a page title with "login" in it is on its way to a site."""
_SMALL = 3
"""Letters up to which a word may be in lower case in a title whose words have capitals."""


def without_address(plain: str) -> str:
    """The text without web addresses."""
    return _DOTTED.sub(_no_address, plain) if "." in plain or "/" in plain else plain


def _no_address(dotted: re.Match[str]) -> str:
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


def leads_to_a_site(parts: Sequence[str], talk: Talk, small: frozenset[str]) -> bool:
    """Whether a short text says no more than where its user went: "facebook login"."""
    lowered = [words(_SIGN_IN.sub(_joined, part.strip().lower())) for part in parts]
    said = [word for part in lowered for word in part]
    if not said or len(said) > _SHORT_SEARCH:
        return False
    if any({part[0], part[-1]} & talk.login or part[-1] in talk.way for part in lowered if part):
        return True
    return all(word in talk.sites or word in small for word in said)


def _joined(sign_in: re.Match[str]) -> str:
    return "".join(group for group in sign_in.groups() if group)


def without_site(plain: str, domain: Domain, talk: Talk, small: frozenset[str]) -> tuple[str, bool]:
    """The text without the site's name at its end, and whether that is a name we know.

    What stands behind the last bar is the site's name if it is written like a name. A dash may as
    well stand between two places, or a performer and a song: what is behind it is a site's name if
    we know it, and on a page also where what stands before it cannot be the other of two names.
    """
    suffix = _SITE_SUFFIX.search(plain)
    if suffix is None:
        return plain, False
    head, site = plain[: suffix.start()], words(suffix["site"])
    lowered = [word.lower() for word in site]
    if not site or len(site) > _SITE_WORDS:
        return plain, False
    named = not any(word[0].islower() and word not in small for word in site)
    known = not talk.publishers.isdisjoint(lowered) and (
        named or talk.publishers.issuperset(lowered)
    )
    if not (named or known):
        return plain, False
    if suffix["mark"] in "|»" or known:
        return head, known
    if domain == "video" or _ends_in_a_name(words(head)):
        return plain, False
    return head, False


def _ends_in_a_name(written: Sequence[str]) -> bool:
    """Whether the last word has a capital that most words of its text do not have."""
    if not written or written[-1][0].islower():
        return False
    inner = [word for word in written[1:-1] if len(word) > _SMALL]
    return not inner or any(word[0].islower() for word in inner)
