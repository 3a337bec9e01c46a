"""What a student is taught to write in words: the query that an editor would type for an interest.

People teach it (`models.people`). An interest of which the prompt shows nothing is not asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from models.people.views import Seen
from service.records import Signal


def word_label(
    seen: Seen,
    shown: Sequence[Signal],
    most: int,
    own: Callable[[Sequence[Signal], str], Sequence[str]] | None = None,
) -> list[str]:
    """A line an interest, the one with most signals shown first; at most `most`.

    `own` says which words of an interest's signals stand before its query.
    """
    source_of = dict(zip((signal.id for signal in seen.signals), seen.sources, strict=True))
    sources = [source_of[signal.id] for signal in shown]
    counted = Counter(source for source in sources if source is not None)
    newest = {source: place for place, source in enumerate(sources) if source is not None}
    ranked = sorted(counted, key=lambda source: (-counted[source], -newest[source]))
    lines = []
    for source in ranked[:most]:
        query = seen.interests[source].query
        theirs = [signal for signal, of in zip(shown, sources, strict=True) if of == source]
        lines.append(" ".join([*(own(theirs, query) if own else ()), query]))
    return lines
