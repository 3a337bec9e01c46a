"""Reads the hand-written material: story lines by category, readers, and everyday noise.

A story line is a piece of news that goes on for weeks: five events in order, facts, quotes, the
people in it, the questions it raises, and what somebody who cares about it would search, read, buy
and watch, partly in other words than the articles use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from models.demo.verbs import Event
from service.errors import ConfigurationError
from service.records import DOMAINS, Domain

HERE = Path(__file__).parent
_EVENTS = 5
_DOMAIN: Mapping[str, Domain] = {domain: domain for domain in DOMAINS}
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a story: `name`, and what they are ("chief engineer at Norrsund Ferries")."""

    name: str
    role: str

    @property
    def title(self) -> str:
        """The role without its article, as a headline gives it."""
        return re.sub(r"^(?:the|an?) ", "", self.role)

    @property
    def surname(self) -> str:
        """The last word of the name: how a second mention calls them."""
        return self.name.split()[-1]


@dataclass(frozen=True, slots=True)
class Story:
    """One story line. `quotes[i]` is said by `who[i % len(who)]`."""

    id: str
    category: str
    topic: str
    affected: str
    terms: tuple[str, ...]
    who: tuple[Person, ...]
    events: tuple[Event, ...]
    facts: tuple[str, ...]
    quotes: tuple[str, ...]
    asks: tuple[str, ...]
    search: tuple[str, ...]
    page: str
    buy: str
    video: str
    angles: tuple[str, ...]
    """The category's own asides, the same for all its stories."""

    @property
    def entities(self) -> tuple[str, ...]:
        """The people of the story, then the named subjects of its events."""
        subjects = (e.subject.removeprefix("the ") for e in self.events)
        named = (s for s in subjects if s[0].isupper())
        return tuple(dict.fromkeys([p.name for p in self.who] + list(named)))


@dataclass(frozen=True, slots=True)
class Persona:
    """A hand-written user: who they are, the stories they follow, and signals of their own."""

    id: str
    about: str
    follows: tuple[str, ...]
    signals: tuple[tuple[Domain, str], ...] = ()
    heavy: bool = False
    """True for one who does far more than the others."""


def load_stories(folder: Path = HERE / "stories") -> tuple[Story, ...]:
    """All story lines, category by category in alphabetical order.

    Raises `ConfigurationError` naming file and story where a line is missing or misspelt.
    """
    stories: list[Story] = []
    for path in sorted(folder.glob("*.yaml")):
        document = _read(path)
        angles = tuple(document["angles"])
        stories += [_story(raw, path, angles) for raw in document["stories"]]
    ids = [story.id for story in stories]
    if twice := sorted({i for i in ids if ids.count(i) > 1}):
        raise ConfigurationError(f"{folder}: story ids must differ; given twice: {twice}")
    return tuple(stories)


def load_personas(path: Path = HERE / "personas.yaml") -> tuple[Persona, ...]:
    """The hand-written users."""
    return tuple(
        Persona(
            raw["id"],
            raw["about"],
            tuple(raw.get("follows", ())),
            tuple((_DOMAIN[domain], text) for domain, text in raw.get("signals", ())),
            raw.get("heavy", False),
        )
        for raw in _read(path)["personas"]
    )


def load_noise(path: Path = HERE / "noise.yaml") -> Mapping[Domain, tuple[str, ...]]:
    """Everyday signals that have nothing to do with the news, by domain."""
    return {_DOMAIN[domain]: tuple(texts) for domain, texts in _read(path).items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: expected a mapping at the top")
    return document


def _story(raw: dict[str, Any], path: Path, angles: tuple[str, ...]) -> Story:
    where = f"{path}: story {raw.get('id', '?')!r}"
    expected = {f.name for f in fields(Story)} - {"category", "angles"}
    if wrong := sorted(expected ^ raw.keys()):
        raise ConfigurationError(f"{where}: missing or unknown: {', '.join(wrong)}")
    for name, value in raw.items():
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str) or not text.strip():
                raise ConfigurationError(f"{where}: {name} holds {text!r}; write text (quote it)")
    try:
        events = tuple(Event.parse(line) for line in raw["events"])
        who = tuple(Person(*line.split(", ", 1)) for line in raw["who"])
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{where}: {error}") from error
    if len(events) != _EVENTS:
        raise ConfigurationError(f"{where}: has {len(events)} events; write {_EVENTS}")
    lists = {name: tuple(raw[name]) for name in ("terms", "facts", "quotes", "asks", "search")}
    return Story(
        id=raw["id"],
        category=path.stem,
        topic=raw["topic"],
        affected=raw["affected"],
        who=who,
        events=events,
        terms=lists["terms"],
        facts=lists["facts"],
        quotes=lists["quotes"],
        asks=lists["asks"],
        search=lists["search"],
        page=raw["page"],
        buy=raw["buy"],
        video=raw["video"],
        angles=angles,
    )
