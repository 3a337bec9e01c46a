"""What a model wrote, taken apart into raw pieces: lines, and the strings of JSON lists. Pure.

Of a table's row the cell that holds the query is taken. Nothing else is judged here:
`service.generation.queries` decides which pieces are queries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_OUTPUT_CHARS = 8_192
"""Characters of one sample that are read; a list of 32 queries has 5,152 at the most."""
MAX_PIECES = 256
"""Lines and strings of one sample that are read. Both bounds keep a spoilt output from holding up
the event loop."""

# Markers of chat templates, and roles that stand alone between them.
_THOUGHT = re.compile(r"<(think|thinking|reasoning|scratchpad)>.*?(?:</\1>|\Z)", re.S | re.I)
_THOUGHT_END = re.compile(r"\A.*</(?:think|thinking|reasoning|scratchpad)>", re.S | re.I)
_OTHERS_TURN = re.compile(
    r"(?:<\|(?:im_start|start_header_id)\|>[ \t]*(?:user|system|tool)\b"
    r"|<start_of_turn>[ \t]*user\b|<\|(?:user|system)\|>|\[INST\]|<<SYS>>"
    r"|^[ \t#*]*(?:user|human|system|instructions?|input)[ \t*]*(?::|$))",
    re.I | re.M,
)
_OWN_TURN = re.compile(
    r"<\|(?:im_start|start_header_id)\|>[ \t]*(?:assistant|model)?|<start_of_turn>[ \t]*model"
    r"|<\|assistant\|>|\[/INST\]",
    re.I,
)
_MARKER = re.compile(r"<\|[^<>|\n]{1,40}\|>|</?s>|<pad>|<unk>|<eos>|<bos>|<end_of_turn>|<<?/SYS>>?")
_INLINE_TAG = re.compile(r"</?(?:b|i|u|em|strong|mark|span|code|a)(?:\s[^<>\n]{0,80})?>", re.I)
_TAG = re.compile(r"</?[A-Za-z][\w:-]{0,30}(?:\s[^<>\n]{0,80})?/?>")
_CUT_TAG = re.compile(r"<[/|]?[\w:|-]{0,30}\Z")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*", re.M)
_LINES = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# An opening bracket that a string follows (or nothing: a list that goes on below), at the start of
# a line or after its label, bullet or number.
_LIST_START = re.compile(r"(?:[^\[{\n]{0,80}[:=]\s*|[\s\-*•\d.)(]*)([\[{])\s*(?=[\"'“\[{]|$)")
_QUOTED_LIST = re.compile(r"\s*([\"“]).{1,400}[\"”]\s*,\s*[\"“]")
# A row of a table: between bars, or what has as many bars as the head above it.
_ROW = re.compile(r"\s*\|.*\|\s*")
_RULE = re.compile(r"[\s|:+=-]*-[\s|:+=-]*")
_HEAD = re.compile(
    r"(?:(?:user|search|news|suggested|main|the)\s+)*(?P<query>quer(?:y|ies)|search(?:es)?|topics?|"
    r"headlines?|keywords?|titles?)|(?:user(?:'s|’s)?\s+)?(?:#|nr|no|number|n|rank|reasons?|why|"
    r"explanations?|rationale|interests?|signals?|sources?|category|categories|domains?|based on|"
    r"relevance|scores?|weights?|notes?|descriptions?|dates?)",
    re.I,
)
_MADE_OF_MORE = re.compile('[\\[{"“]')
"""What a text without is read by lines alone: it holds no list."""
_MARKUP = re.compile(r"[<`~]|\[/?INST\]", re.I)
"""What every marker, tag and fence has in it."""
_PAIRS = {'"': '"', "'": "'", "“": "”"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.S)
_ESCAPED = {"n": "\n", "t": " ", "r": " ", "b": " ", "f": " "}
_QUERY_KEYS = frozenset({"query", "queries", "q", "text", "search", "searches", "search_query"})


@dataclass(frozen=True, slots=True)
class Piece:
    """One line, or one string of a list. `complete` is False for what the output ended in."""

    text: str
    complete: bool = True


def pieces(text: str, *, finished: bool) -> list[Piece]:
    """Take a sample apart. `finished` is False when it was cut by length or by the deadline."""
    if len(text) > MAX_OUTPUT_CHARS:
        text, finished = text[:MAX_OUTPUT_CHARS], False
    body = _without_markup(text)
    found: list[Piece] = []
    table = _Table()
    if _MADE_OF_MORE.search(body) is None:
        *lines, last = _LINES.split(body)
        for place, line in enumerate([*lines, last] if last else lines):
            if (query := table.query_in(line)) is not None:
                found.append(Piece(query, finished or place < len(lines)))
                if len(found) == MAX_PIECES:
                    break
        return found
    position = no_strings_before = 0
    while position < len(body) and len(found) < MAX_PIECES:
        end_of_line = _LINES.search(body, position)
        stop = end_of_line.start() if end_of_line else len(body)
        start = _LIST_START.match(body, position, stop)
        if start is not None and start.start(1) >= no_strings_before:
            strings, after = _listed(body, start.start(1), finished)
            if strings:
                found += strings
                position = after
                continue
            no_strings_before = after
        if _QUOTED_LIST.match(body, position, stop):
            found += _listed(f"[{body[position:stop]}]", 0, finished or end_of_line is not None)[0]
        else:
            complete = finished or end_of_line is not None
            if (query := table.query_in(body[position:stop])) is not None:
                found.append(Piece(query, complete))
        position = end_of_line.end() if end_of_line else len(body)
    return found[:MAX_PIECES]


class _Table:
    """The table that the lines read so far are in, if they are in one."""

    def __init__(self) -> None:
        self._head: list[bool] = []
        """For each column whether its head says that queries stand in it."""

    def query_in(self, line: str) -> str | None:
        """The cell of a row that holds its query; of what is no row the line; None for a head."""
        if "|" not in line:
            self._head = self._head if not line.strip() else []
            return line
        cells = [cell.strip(" \t*_") for cell in line.strip().strip("|").split("|")]
        if _RULE.fullmatch(line):
            return None
        heads = [_HEAD.fullmatch(cell.rstrip(":.")) for cell in cells]
        between_bars = _ROW.fullmatch(line) is not None
        if all(heads) and (len(cells) > 1 or between_bars):
            self._head = [head is not None and head["query"] is not None for head in heads]
            return None
        if not between_bars and len(cells) != len(self._head):
            return line
        if len(cells) == len(self._head) and True in self._head:
            return cells[self._head.index(True)]
        return next((cell for cell in cells if any(c.isalpha() for c in cell)), "")


def _without_markup(text: str) -> str:
    if _MARKUP.search(text) is None:
        text = text.lstrip()
        other = _OTHERS_TURN.search(text)
        return text[: other.start()] if other else text
    text = _THOUGHT_END.sub("", _THOUGHT.sub("\n", text))
    text = _OWN_TURN.sub("\n", text.lstrip())
    if other := _OTHERS_TURN.search(text):
        text = text[: other.start()]
    text = _FENCE.sub("", _MARKER.sub("\n", text))
    return _CUT_TAG.sub("", _TAG.sub("\n", _INLINE_TAG.sub("", text)))


@dataclass(frozen=True, slots=True)
class _String:
    key: str | None
    piece: Piece


def _listed(body: str, start: int, finished: bool) -> tuple[list[Piece], int]:
    """The strings of the JSON-like list or object at `start`, and where it ends.

    Forgives what `json` does not: single quotes, missing and trailing commas, a missing end.
    Where some values stand under a key like `query`, the values under other keys are left out.
    """
    strings: list[_String] = []
    depth, position, key = 0, start, None
    while position < len(body):
        c = body[position]
        if c in "[{":
            depth += 1
        elif c in "]}":
            depth -= 1
            if depth <= 0:
                position += 1
                break
        elif c in _PAIRS:
            raw, position, closed = _string(body, position)
            after = _skip_blanks(body, position)
            if after < len(body) and body[after] == ":" and closed:
                key, position = raw.strip().lower().rstrip("0123456789_ "), after + 1
            else:
                strings.append(_String(key, Piece(_unescape(raw), closed or finished)))
            continue
        position += 1
    if any(s.key in _QUERY_KEYS for s in strings):
        strings = [s for s in strings if s.key is None or s.key in _QUERY_KEYS]
    return [line for s in strings for line in _split(s.piece)], position


def _string(body: str, start: int) -> tuple[str, int, bool]:
    """The raw string that opens at `start`, the position after it, and whether it was closed.

    A single quote closes only before a delimiter, so that `'Trump's plan'` is one string.
    """
    closing = _PAIRS[body[start]]
    position = start + 1
    while position < len(body):
        c = body[position]
        if c == "\\":
            position += 2
            continue
        if c == closing or (c == '"' and closing == "”"):
            after = _skip_blanks(body, position + 1)
            if closing != "'" or after >= len(body) or body[after] in ",]}:\n":
                return body[start + 1 : position], position + 1, True
        elif c == "\n" and closing != "'":
            return body[start + 1 : position], position, True  # a quote that was never closed
        position += 1
    return body[start + 1 :], len(body), False


def _skip_blanks(body: str, position: int) -> int:
    while position < len(body) and body[position] in " \t":
        position += 1
    return position


def _unescape(raw: str) -> str:
    def spelled(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        return _ESCAPED.get(match[2], match[2])

    return _ESCAPE.sub(spelled, raw) if "\\" in raw else raw


def _split(piece: Piece) -> Iterator[Piece]:
    lines = _LINES.split(piece.text)
    for line in lines[:-1]:
        yield Piece(line)
    yield Piece(lines[-1], piece.complete)
