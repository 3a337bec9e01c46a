"""Which articles are judged: the first of several systems, mixed so that nobody sees whose. Pure.

Pooling as TREC does it (Spärck Jones & van Rijsbergen, Report on the need for and provision of an
"ideal" information retrieval test collection, 1975).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from models.people.records import Judgement

POOLED = 30
"""Of each system's ranking, from the top."""


def pool(
    rankings: Iterable[Mapping[str, Sequence[str]]],
    judged: Iterable[Judgement] = (),
    most: int = POOLED,
) -> dict[str, list[str]]:
    """By person the articles that are to be judged, in an order that tells nothing.

    `rankings` holds one ranking a person of each system. What is in `judged` is left out.
    """
    known = {(one.person, one.article) for one in judged}
    found: dict[str, set[str]] = {}
    for ranking in rankings:
        for person, ranked in ranking.items():
            new = {article for article in ranked[:most] if (person, article) not in known}
            found.setdefault(person, set()).update(new)
    return {
        person: sorted(articles, key=lambda article: _mixed(person, article))
        for person, articles in found.items()
        if articles
    }


def _mixed(person: str, article: str) -> bytes:
    return hashlib.sha256(f"{person} {article}".encode()).digest()
