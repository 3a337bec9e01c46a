"""From signals to a prompt, as token ids. Pure; `docs/prompt.md` explains the layout.

Fixed instructions, the signals oldest first, the cue to answer. A new signal only adds ids before
the cue, so that the engine's prefix cache holds everything before it; where a template puts some
domains last, everything before the first of these. When the budget is full the
window's start moves, and then stays for a while.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

from service.errors import ConfigurationError
from service.records import Domain, Prompt, Signal
from service.signals.template import MIN_TEXT_TOKENS, Template, Tokenizer, load_template
from service.signals.untrusted import marker_pattern, neutralise

__all__ = ["Template", "Tokenizer", "load_template", "render"]

_TEXTS_KEPT = 16_384
"""Of each template; some 500 bytes each."""
_LINES_KEPT = 1_024
_SHORT = 7
"""Characters that are at most 28 bytes in UTF-8, and so never more than 29 tokens with a space."""


def render(
    signals: Sequence[Signal], template: Template, tokenizer: Tokenizer, budget: int
) -> Prompt:
    """The prompt for a user with these signals (oldest first), of at most `budget` tokens.

    A pure function of its arguments: the same signals give the same ids. Signals whose text is
    empty once neutralised are not shown. Raises `ConfigurationError` when the template's fixed
    words alone are more than the budget.
    """
    layout = _layout(template, tokenizer)
    prefix, cue = layout.prefix, layout.cue
    room = budget - len(prefix) - len(cue)
    if room < 0:
        raise ConfigurationError(
            f"prompt_budget is {budget}, but the template's own words take {budget - room} tokens; "
            "raise prompt_budget in student.yaml, or shorten the template"
        )
    lines: list[tuple[Signal, tuple[int, ...]]] = []  # newest first, until the room is used
    start = 0
    for place in range(len(signals) - 1, -1, -1):
        signal = signals[place]
        if not (text := layout.text(signal.text)):
            continue
        # The widest number: which number a line gets is known only when the window is.
        lead, end = layout.around(template.max_signals, signal.domain)
        room -= len(lead) + len(text) + len(end)
        if room < 0 or len(lines) == template.max_signals:
            start = _start([s for s, _ in reversed(lines)])
            break
        lines.append((signal, text))
    window = sorted(lines[::-1][start:], key=lambda line: line[0].domain in template.last)
    ids = list(prefix)
    for number, (signal, text) in enumerate(window, start=1):
        lead, end = layout.around(number, signal.domain)
        ids += lead
        ids += text
        ids += end
    return Prompt((*ids, *cue), tuple(signal for signal, _ in window))


def _start(fitting: Sequence[Signal]) -> int:
    """Where the window starts among the newest signals that fit (oldest first): in the first third.

    At the signal whose id has the smallest checksum there. That is the same signal from request to
    request, until it no longer fits or one with a smaller checksum comes into the third; nothing
    has to be remembered, and it does not matter how many older signals are still stored.
    Local minima of w checksums move every (w + 1) / 2 signals on average (winnowing: Schleimer,
    Wilkerson, Aiken, SIGMOD 2003).
    """
    third = range(len(fitting) // 3 + 1) if fitting else range(0)
    return min(third, key=lambda i: zlib.crc32(fitting[i].id.encode("utf-8", "replace")), default=0)


class _Layout:
    """A template in token ids, and the texts that it has shown: a user's come again."""

    def __init__(self, template: Template, tokenizer: Tokenizer) -> None:
        self.template = template
        self.prefix = tokenizer.trusted(template.prefix)
        self.cue = tokenizer.trusted(template.cue)
        markers = _markers(template.markers, tokenizer.control_tokens)

        def text(raw: str) -> tuple[int, ...]:
            return _text(raw, template, tokenizer, markers)

        def around(number: int, domain: Domain) -> tuple[tuple[int, ...], tuple[int, ...]]:
            lead = tokenizer.trusted(template.lead(number, domain))
            return lead, tokenizer.trusted(template.end(number))

        self.text = lru_cache(_TEXTS_KEPT)(text)
        """Token ids of a signal's text."""
        self.around = lru_cache(_LINES_KEPT)(around)
        """Token ids of what stands before and behind the text with a number."""


def _layout(template: Template, tokenizer: Tokenizer) -> _Layout:
    """The layout of this very template, kept with the tokenizer for as long as that is."""
    layout = tokenizer.layouts.get(id(template))
    if not isinstance(layout, _Layout) or layout.template is not template:
        layout = tokenizer.layouts[id(template)] = _Layout(template, tokenizer)
    return layout


def _text(
    raw: str, template: Template, tokenizer: Tokenizer, markers: re.Pattern[str]
) -> tuple[int, ...]:
    """Token ids of a signal's text: whole words, as many as `max_tokens` has room for."""
    ids: list[int] = []
    glue = template.glue
    for word in neutralise(raw, markers, template.max_chars).split():
        for part in _parts(word):
            piece = tokenizer.word(glue + part)
            if len(ids) + len(piece) > template.max_tokens:
                return tuple(ids)
            ids += piece
            glue = ""
        glue = " "
    return tuple(ids)


def _parts(word: str) -> Iterable[str]:
    """The word, or pieces of at most 28 bytes where it is long: each fits `max_tokens`."""
    if len(word) <= _SHORT or (word.isascii() and len(word) <= MIN_TEXT_TOKENS - 1):
        return (word,)
    return (word[i : i + _SHORT] for i in range(0, len(word), _SHORT))


@lru_cache(64)
def _markers(template: tuple[str, ...], control: tuple[str, ...]) -> re.Pattern[str]:
    return marker_pattern((*template, *control))
