"""What a reading of files of signals left out or changed."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.rows import BadRows
from service.words.markup import plain, spaced


@dataclass(slots=True)
class ReadLog:
    """What a reading left out: bad rows, and clicks on articles whose title nobody knows."""

    bad: BadRows = field(default_factory=BadRows)
    unknown_articles: int = 0
    with_html: int = 0
    """Titles of articles, and texts of signals, in which there was HTML."""

    def plain(self, text: str) -> str:
        """The text without HTML, counted if there was any."""
        cleaned = plain(text)
        self.with_html += cleaned != spaced(text)
        return cleaned
