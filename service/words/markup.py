"""Text out of the HTML that feeds put into titles and abstracts. Pure, linear in the text."""

from __future__ import annotations

import re
from html import unescape
from html.entities import html5

from service.words.text import word_set

_INLINE = word_set(
    """
    a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp small
    span strike strong sub sup time tt u var wbr
    """
)
"""Elements that may stand within a word: their tags leave no blank."""
_ELEMENTS = _INLINE | word_set(
    """
    address area article aside audio base blockquote body br button canvas caption center col
    colgroup datalist dd details dialog div dl dt embed fieldset figcaption figure footer form h1 h2
    h3 h4 h5 h6 head header hgroup hr html iframe img input legend li link main map menu meta meter
    nav noscript object ol optgroup option output p param picture pre progress ruby rp rt script
    search section select slot source style summary svg table tbody td template textarea tfoot th
    thead title tr track ul video
    """
)
"""The elements of https://html.spec.whatwg.org/#elements-3, and old ones that feeds still use."""
_EMPTY = word_set("br hr img wbr")
"""Elements of texts that have no end tag."""

# Each part goes on to the next `<` at most and gives nothing back, so a text is read once. What
# stands between name and `>` must be attributes with values: `if a <b and c> d` holds no tag.
_TAG = re.compile(
    r"<(?P<end>/)?(?P<name>[a-z][a-z0-9]*+)"
    r"(?:\s++[a-z_:@][\w:.@-]*+(?:\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+'|[^\s\"'<>=`]++)))*+"
    r"\s*+/?>",
    re.I | re.A,
)
_ENTITY = re.compile(
    r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|(?P<name>[a-z][a-z0-9]{1,31}));", re.I | re.A
)
_ESCAPED_AT_MOST = 2
"""Times: `&amp;amp;` is what a feed makes of text that was escaped already."""


def spaced(text: str) -> str:
    """The text with one blank for every run of white space and none at its ends."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """The text without HTML: tags are gone, entities are the characters they stand for, white
    space is one blank.

    Tags are those of HTML's own elements, alone or with attributes that have values; entities are
    those of Python's `html.entities` and numbers, with their `;`, read again where they were
    escaped twice. Everything else stays: `a < b`, `<3`, `Vec<int>`, `AT&T`, `&copy`. So do stocks'
    symbols, `<P>`: of the tags in capitals those go that have attributes, an end, or never one.
    """
    for _ in range(_ESCAPED_AT_MOST):
        text = _untagged(text)
        if "&" not in text:
            break
        text = _ENTITY.sub(_character, text)
    return spaced(_untagged(text))


def _untagged(text: str) -> str:
    if "<" not in text:
        return text
    ended = {tag["name"].lower() for tag in _TAG.finditer(text) if tag["end"]}

    def left(tag: re.Match[str]) -> str:
        """What is left of a tag: itself, where it is none of HTML."""
        name = tag["name"].lower()
        symbol = tag["name"].isupper() and name not in _EMPTY | ended and "=" not in tag[0]
        if name not in _ELEMENTS or symbol:
            return tag[0]
        return "" if name in _INLINE else " "

    return _TAG.sub(left, text)


def _character(entity: re.Match[str]) -> str:
    """What an entity stands for: itself, where nobody knows it."""
    if entity["name"]:
        return html5.get(entity[0][1:], entity[0])
    return unescape(entity[0]).replace("\ufffd", " ")
