"""What a written reader is, and what a judge said of an article for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from service.records import Domain

Split = Literal["train", "tune", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
JUDGED: tuple[Split, ...] = ("tune", "test")
"""The splits whose articles are graded."""
GRADES = (0, 1, 2)
"""Not for them; they would be glad of it; just what they want."""


@dataclass(frozen=True, slots=True)
class Interest:
    """One of a person's interests, and the query that a good editor would type for it."""

    name: str
    query: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One signal of a person: what they left somewhere."""

    at_ms: int
    domain: Domain
    text: str
    """Empty for a news click, whose text is the title of its article."""
    article: str | None
    """The id of the article that was clicked; None in the other domains."""
    interest: int | None
    """The place in `Person.interests` of what it stems from; None: an errand, or noise."""


@dataclass(frozen=True, slots=True)
class Person:
    """A reader at one moment."""

    id: str
    now_ms: int
    portrait: str
    """Who they are, for judges. It never gets into a prompt: `Person.signals` is all that does."""
    interests: tuple[Interest, ...]
    traces: tuple[Trace, ...]
    """Oldest first, all of them from before `now_ms`."""
    line: int
    """Where they stand in their file."""


@dataclass(frozen=True, slots=True)
class Thread:
    """An interest without a person: the query of a good editor, and what it made somebody leave.

    Threads teach; nobody is judged on them.
    """

    query: str
    traces: tuple[tuple[Domain, str], ...]
    """Domain and text; of a news click the headline, which is invented."""
    line: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said of one article for one person."""

    person: str
    interest: int
    """The number (from 1) of the interest that it serves; 0 where it serves none, or another."""
    article: str
    grade: int
