"""People made by hand, and the stories that they read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.people.records import Interest, Judgement, Person, Trace
from service.records import Article, Domain
from tests.unit.models.builders import DAY_MS, NOW_MS, stories

PORTRAIT = "A skipper's widow of 71 in Bergen who bakes, and who never liked chess, nor the news."


def articles() -> dict[str, Article]:
    """The small set's stories, by id."""
    return {article.id: article for article in stories()}


def trace(
    text: str,
    interest: int | None = None,
    *,
    days: float = -1,
    domain: Domain = "search",
    article: str | None = None,
) -> Trace:
    """A signal so many days from `NOW_MS`."""
    if article:
        domain, text = "news", ""
    return Trace(int(NOW_MS + days * DAY_MS), domain, text, article, interest)


def person(name: str, *traces: Trace, queries: tuple[str, ...] = ("electric ferries",)) -> Person:
    """Somebody with an interest a query, and these signals."""
    interests = tuple(Interest(f"{query} of {name}", query) for query in queries)
    return Person(name, NOW_MS, PORTRAIT, interests, traces, line=1)


def judgement(who: str, article: str, grade: int, interest: int = 1) -> Judgement:
    """What a judge said."""
    return Judgement(who, interest if grade else 0, article, grade)


def row(**changes: Any) -> dict[str, Any]:
    """A person as a line of a file has them, with changes."""
    whole: dict[str, Any] = {
        "id": "ada",
        "now": "2019-03-04T18:00:00Z",
        "portrait": PORTRAIT,
        "interests": [{"name": "quiet ferries", "query": "electric ferries"}],
        "signals": [
            {"at": "2019-03-01T08:00:00Z", "domain": "search", "text": "fjord1", "interest": 1},
            {"at": "2019-03-02T08:00:00Z", "domain": "news", "article": "hp-1"},
        ],
    }
    return whole | changes


def write(path: Path, *rows: Mapping[str, Any]) -> Path:
    """A file of people."""
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path
