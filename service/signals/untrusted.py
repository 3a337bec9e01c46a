"""Make a signal's text harmless inside a prompt. Pure.

What may not come through: line breaks of any kind, control tokens and the template's own markers,
characters that are not seen (zero width, bidirectional, unassigned), what looks like the number of
another signal, and length. Whatever is left is data on one line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_NUMBERED = re.compile(r"^(?:[#*>•-]+\s*)?(#?\d{1,4})\s*[.):\]]\s")
_REFERENCE = re.compile(r"(?<!\S)#(\d{1,4})(?!\S)")
_UNSEEN = frozenset({"Cf"})
_BLANK = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})


def marker_pattern(markers: Iterable[str]) -> re.Pattern[str]:
    """One expression for everything that must not be spelled in a signal, in any case.

    `<|` and `|>` are always in it: the brackets of most models' control tokens.
    """
    spelled = sorted({m.strip() for m in markers if m.strip()}, key=len, reverse=True)
    return re.compile("|".join(re.escape(m) for m in [*spelled, "<|", "|>"]), re.IGNORECASE)


def neutralise(text: str, markers: re.Pattern[str], max_chars: int) -> str:
    """The text on one line, without anything that could speak for the prompt itself.

    Compatibility forms are folded first (NFKC), so that full-width brackets or a zero-width space
    inside a control token hide nothing. At most `max_chars` characters, cut at a word if it can be.
    Never raises: lone surrogates become blanks.
    """
    text = text[: 4 * max_chars]
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_seen, unicodedata.normalize("NFKC", text)))
    text = " ".join(text.split())
    # Taking one marker out can join the halves of another; each turn shortens the text's markers.
    while (rest := " ".join(markers.sub(" ", text).split())) != text:
        text = rest
    text = _REFERENCE.sub(r"\1", _NUMBERED.sub(r"\1 ", text))
    if len(text) > max_chars:
        head = text[: max_chars + 1]
        text = head.rpartition(" ")[0] or head[:max_chars]
    return text


def _seen(char: str) -> str:
    kind = unicodedata.category(char)
    if kind in _UNSEEN:
        return ""
    return " " if kind in _BLANK else char
