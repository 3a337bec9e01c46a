"""What a person left, as the service sees it: their signals, and nothing of their portrait."""

from __future__ import annotations

from collections.abc import Mapping

from models.people.records import Person
from service.errors import InvalidInput
from service.records import Article, Signal


def signals_of(person: Person, articles: Mapping[str, Article]) -> tuple[Signal, ...]:
    """Their signals, oldest first; a news click has its article's title.

    Raises `InvalidInput` where `articles`, by id, lack one that was clicked.
    """
    found = []
    for number, trace in enumerate(person.traces):
        text = trace.text
        if trace.article is not None:
            if trace.article not in articles:
                raise InvalidInput(
                    f"{person.id} clicked {trace.article}, which is none of the articles; give the "
                    "file that the people were written over",
                    field="--articles",
                )
            text = articles[trace.article].title
        found.append(
            Signal(trace.at_ms, trace.domain, text, f"{person.id}-{number}", trace.article)
        )
    return tuple(found)
