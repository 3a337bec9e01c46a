"""Which metrics, labels and values a PromQL expression names. No full parser: promtool is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")')
_GROUPING = re.compile(r"\b(by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\(|)")
_RANGE = re.compile(r"\[[^\]]*\]")
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "by", "on", "without", "ignoring"}
_WORDS |= {"group_left", "group_right", "sum", "min", "max", "count", "avg"}
_BRACE = re.compile(r'\{(?:[^}"]|"(?:[^"\\]|\\.)*")*\}')


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric as an expression names it: `matchers` are (label, operator, value)."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...] = ()


@dataclass(slots=True)
class Named:
    """What an expression names: `grouped` are labels in `by (…)` and the like."""

    selectors: list[Selector] = field(default_factory=list)
    grouped: set[str] = field(default_factory=set)


def named(expression: str) -> Named:
    """What an expression names."""
    found = Named()
    braces: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        braces.append(match[0])
        return f"{{{len(braces) - 1}}}"

    bare = _RANGE.sub("", _BRACE.sub(put_aside, expression))
    for _, labels in _GROUPING.findall(bare):
        found.grouped |= {label.strip() for label in labels.split(",") if label.strip()}
    bare = _STRING.sub("", _GROUPING.sub(" ", bare))
    for name, behind in _SELECTOR.findall(bare):
        if behind == "(" or name.lower() in _WORDS or name.startswith("__"):
            continue
        text = braces[int(behind[1:-1])] if behind else ""
        matchers = tuple((one, op, value[1:-1]) for one, op, value in _MATCHER.findall(text))
        found.selectors.append(Selector(name, matchers))
    return found
