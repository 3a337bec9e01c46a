"""From what a student wrote to a list of queries. Pure; `docs/output-format.md` is the contract.

The format is one query a line. A line that is `#<n>` alone stands for the telling words of the
signal with that number in the prompt. Everything else that real models add (numbers, bullets,
quotes, JSON, fences, preambles, chat markers) is taken off, and what then is no query is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from service.errors import GenerationInvalid
from service.generation.output import Piece, pieces
from service.generation.prose import is_refusal, without_reason
from service.languages import ENGLISH, Language
from service.records import Query, Signal
from service.words import text as texts
from service.words.noise import telling_text

MAX_WORDS = 16
MAX_CHARS = 160
"""Bounds of a query. A line up to twice as long is cut at a word; a longer one is prose."""
DUPLICATE = 0.8
"""Jaccard index of two queries' stems from which the later one is left out."""
LINKED = 0.6
"""Share of the shorter text's stems that a query and a signal must have in common to be linked."""
MAX_LINKS = 8
"""Signals that one query is linked to at the most."""

_REFERENCES = re.compile(r"#\d{1,4}(?:[\s,;&]+#\d{1,4})*")
_NUMBERS = re.compile(r"\d+")
_REFERENCE = re.compile(r"#\d{1,4}")
_CUT_REFERENCES = re.compile(r"\s*((?:#\d{1,4}[\s,;&]+)*)#?\d{0,4}")
"""References of which the last may lack digits; the first group holds the others."""
_ROLE = r"(?:search|news|possible|suggested|recommended|related|generated|final|new|top)"
_NOUN = (
    r"(?:quer(?:y|ies)|search(?:es)?|topics?|interests?|keywords?|headlines?|titles?|"
    r"answers?|outputs?|results?|responses?|assistant|model|ai|browse|purchase|video|news|signal)"
)
_LABEL = re.compile(rf"(?:{_ROLE}\s+){{0,2}}{_NOUN}\s*(?:#?\d{{1,2}}\s*[-–—.:)=]|[:=])\s*", re.I)
_NO_QUERY = re.compile(
    rf"(?:{_ROLE}\s+){{0,2}}{_NOUN}\s*(?:#?\d{{1,2}})?|none|null|n/?a|done|end|eos", re.I
)
_NUMBER = re.compile(
    r"(?:\(\d{1,2}\)|\[\d{1,2}\]|#?\d{1,2}\s*[.):\]|]|\d{1,2}\s+[-–—]|#\d{1,2}(?=\s)|[a-h]\))"
    r"(?:\s+|$|(?=[^\W\d_]|[\"“'#]))",
    re.I,
)
_BULLET = re.compile(r"(?:[•‣◦·▪●○■►➤→✓✔]|[-–—*+>|]+(?=\s)|#{1,6}(?=\s))\s*")
_TAGGED = re.compile(r"\[(?:search|browse|purchase|video|news|query)\]\s*:?\s*", re.I)
_LINK = re.compile(r"\[([^\]\n]{1,200})\]\([^)\n]{0,400}\)")
_QUOTED_THEN = re.compile(r"[\"“]([^\"“”]{3,})[\"”]\s*[-–—:(]")
_PREAMBLE = re.compile(
    r"(?:(?:sure|certainly|of course|okay|ok|great|absolutely)[!.,]|(?:sure|certainly)\b[^:\n]*:|"
    r"(?:here(?:\s+are|\s+is|'s|’s)|below\s+(?:are|is)|(?:the\s+)?following(?:\s+(?:are|is))?|"
    r"based on|these are|i (?:have|would|will|can(?!['’]t)|hope)|"
    r"(?:this|these) (?:quer|search|list|topic)\w*|"
    r"(?:please )?(?:note that|let me know|feel free)|hope this|in summary)\b)",
    re.I,
)
_ABOUT_THE_TASK = re.compile(
    r"\b(?:quer(?:y|ies)|search(?:es)?|list|topics?|suggestions?|user(?:'s|’s)?|signals?|you|your|"
    r"interests?|help(?:s|ed)?|ai)\b",
    re.I,
)
_HASHTAG = re.compile(r"(?<!\S)#(?=\w)")
_CACHED_CHARS = 2 * MAX_CHARS
"""Of a line that may be kept."""
_EDGES = " \t,;:|\"'“”„«»‘’`*_~.…[]{}"
_SUBSTANCE = re.compile(r"[^\W\d_]|\d{4}")


def parse(
    text: str,
    shown: Sequence[Signal],
    *,
    finished: bool,
    max_queries: int,
    blocked: Collection[str] = (),
    language: Language = ENGLISH,
) -> tuple[Query, ...]:
    """Read one sample into at most `max_queries` queries, in the order they were written.

    `shown[i]` is the signal with number `i + 1` in the prompt. `finished` is False when the sample
    was cut (by `max_tokens` or by the deadline): then its incomplete last line is left out, unless
    it is all there is and has two words, or references before the one that it ends in. Lines with
    the same words as one of `blocked` (the prompt's boilerplate, say) are left out. Every query
    weighs 1.0: a student's order is hardly a ranking, and the consensus of several samples is what
    weights rest on.

    Raises `GenerationInvalid` when nothing is left.
    """
    found = queries_in(
        text,
        shown,
        finished=finished,
        max_queries=max_queries,
        blocked=blocked,
        language=language,
    )
    if not found:
        raise GenerationInvalid("nothing in the student's output is a usable query")
    return found


def queries_in(
    text: str,
    shown: Sequence[Signal],
    *,
    finished: bool,
    max_queries: int,
    blocked: Collection[str] = (),
    language: Language = ENGLISH,
) -> tuple[Query, ...]:
    """What `parse` reads of a sample; empty when nothing is left."""
    banned = {key for line in blocked for key in [_key(line)] if key}
    accepted = _Accepted(shown, max_queries, language)
    rest: list[Piece] = []
    for piece in pieces(text, finished=finished):
        if accepted.full:
            break
        if piece.complete:
            _take(piece.text, accepted, banned)
        else:
            rest.append(piece)
    if not accepted.queries:
        for piece in rest:
            if cut := _CUT_REFERENCES.fullmatch(piece.text):
                _take(cut[1], accepted, banned)
            elif len(texts.words(piece.text)) >= 2:
                _take(piece.text, accepted, banned)
    return tuple(accepted.queries)


class _Accepted:
    """The queries so far, and what is needed to tell whether another is new."""

    def __init__(self, shown: Sequence[Signal], max_queries: int, language: Language) -> None:
        self.queries: list[Query] = []
        self._shown = shown
        self.language = language
        self._links = _Links(shown, language)
        self._max = max_queries
        self._stems: list[frozenset[str]] = []

    @property
    def full(self) -> bool:
        return len(self.queries) >= self._max

    def refer(self, number: int) -> None:
        if 1 <= number <= len(self._shown):
            signal = self._shown[number - 1]
            telling = telling_text(signal.text, signal.domain, self.language)
            line = texts.shorten(telling, MAX_WORDS, MAX_CHARS)
            if _SUBSTANCE.search(line):
                self._add(line, (signal.id,))

    def write(self, line: str) -> None:
        self._add(line, None)

    def _add(self, line: str, signals: tuple[str, ...] | None) -> None:
        own = texts.stems(line, self.language)
        if self.full or any(texts.alike(own, other, DUPLICATE) for other in self._stems):
            return
        self._stems.append(own)
        linked = self._links.of(own) if signals is None else signals
        self.queries.append(Query(line, signals=linked))


def _take(raw: str, accepted: _Accepted, banned: Collection[str]) -> None:
    read = _line if len(raw) <= _CACHED_CHARS else _line.__wrapped__
    references, query = read(raw, accepted.language)
    for number in references:
        accepted.refer(number)
    if query and not (banned and _key(query) in banned):
        accepted.write(query)


@lru_cache(maxsize=4096)
def _line(raw: str, language: Language) -> tuple[tuple[int, ...], str]:
    """The numbers that a line refers to, or the query in it: "" where there is none.

    Students write the same lines for a user again, and copy what many users have read.
    """
    for line in (raw,) if _REFERENCE.fullmatch(raw) else _stripped(raw):
        if _REFERENCES.fullmatch(line):
            return tuple(map(int, _NUMBERS.findall(line))), ""
        return (), _judged(line, language)
    return (), ""


def _stripped(raw: str) -> Iterator[str]:
    """The line without what models put around a query; nothing where it is no query at all."""
    line = texts.clean(raw[: 8 * MAX_CHARS])
    line = _LINK.sub(r"\1", line).replace("**", "").replace("__", "").replace("`", "").strip()
    while line:  # "1. - **Query:** …": these come in any order, and each step shortens the line
        for prefix in (_NUMBER, _BULLET, _TAGGED, _LABEL):
            match = prefix.match(line)
            if match and match.end() and not _REFERENCES.fullmatch(line.strip(_EDGES)):
                line = line[match.end() :].lstrip()
                break
        else:
            break
    if line.rstrip(" *_").endswith((":", "：")):  # a heading, or the preamble of a list
        return
    if is_refusal(line):
        return
    line = without_reason(line)
    if quoted := _QUOTED_THEN.match(line):  # "query" - and why it was chosen
        line = quoted[1]
    if _PREAMBLE.match(line):
        head, colon, tail = line.partition(":")
        if _ABOUT_THE_TASK.search(head if colon else line):
            line = tail
    line = line.strip(_EDGES).replace('"', "").replace("“", "").replace("”", "")
    if line and not _NO_QUERY.fullmatch(line):
        yield line


def _judged(line: str, language: Language) -> str:
    """The query in a stripped line, or "" when there is none."""
    if "#" in line:
        line = _HASHTAG.sub("", line)
    if not _SUBSTANCE.search(line):
        return ""
    if len(line.split()) > 2 * MAX_WORDS or len(line) > 2 * MAX_CHARS:
        return ""
    return texts.shorten(_said_once(line, language), MAX_WORDS, MAX_CHARS).strip(_EDGES)


def _said_once(line: str, language: Language) -> str:
    """The line without telling words that it has said already: small models stammer."""
    said = texts.words(line.lower())
    if len(set(said)) == len(said):
        return " ".join(line.split())
    small = texts.small_words(language)
    seen: set[str] = set()
    kept = []
    for word in line.split():
        bare = texts.words(word.lower())
        telling = [word for word in bare if word not in small]
        if telling and seen.issuperset(telling):
            continue
        seen.update(telling)
        kept.append(word)
    return " ".join(kept)


def _key(line: str) -> str:
    return " ".join(word.lower() for word in texts.words(line))


class _Links:
    """Finds the signals that a query shares most of its stems, or of theirs, with."""

    def __init__(self, shown: Sequence[Signal], language: Language) -> None:
        self._shown = shown
        self._language = language
        self._stems: list[frozenset[str]] | None = None

    def of(self, own: frozenset[str]) -> tuple[str, ...]:
        """Ids of the linked signals; closest first, then newest."""
        if self._stems is None:
            self._stems = [texts.stems(signal.text, self._language) for signal in self._shown]
        found = []
        for index, stems in enumerate(self._stems):
            if own.isdisjoint(stems):
                continue
            shared, size = len(own & stems), len(stems)
            if shared >= LINKED * min(len(own), size) - 1e-9:
                found.append((-shared / (len(own) + size - shared), -index))
        found.sort()
        return texts.distinct(self._shown[-index].id for _, index in found[:MAX_LINKS])
