"""What simulated users buy, and how they phrase what they do: `materials.yaml`, our own writing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import yaml

from service.records import Domain

_HELD_OUT = 4
"""One in so many forms, and of the words that fill them, is kept from training users."""
_SLOT = re.compile(r"\{(\w+)\}")
NUMBERS = (2, 40)
"""What `{n}` stands for: from, to (exclusive)."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The words around an interest and those with none behind them, as one part of users says them.

    In the forms `{p}` stands for a phrase, `{s}` for it in small letters.
    """

    pages: tuple[str, ...]
    videos: tuple[str, ...]
    searches: tuple[str, ...]
    everyday: dict[Domain, tuple[str, ...]]
    words: dict[str, tuple[str, ...]]

    def about(self, domain: Domain, phrase: str, rng: np.random.Generator) -> str:
        """A search, page or video about a phrase."""
        forms = {"search": self.searches, "browse": self.pages, "video": self.videos}[domain]
        said = {"p": phrase, "s": phrase.lower()}
        return self._filled(str(rng.choice(forms)), said, rng)

    def errand(self, domain: Domain, rng: np.random.Generator) -> str:
        """Something of everyday life, with no interest in news behind it."""
        return self._filled(str(rng.choice(self.everyday[domain])), {}, rng)

    def _filled(self, form: str, said: dict[str, str], rng: np.random.Generator) -> str:
        def fill(slot: re.Match[str]) -> str:
            name = slot[1]
            if name == "n":
                return str(rng.integers(*NUMBERS))
            return said[name] if name in said else str(rng.choice(self.words[name]))

        return _SLOT.sub(fill, form)


@dataclass(frozen=True, slots=True)
class Materials:
    """Goods, and the wording of training users (`taught`) and of all others (`held_out`)."""

    goods: tuple[str, ...]
    taught: Wording
    held_out: Wording


def load_materials() -> Materials:
    """Read the packaged file."""
    raw: dict[str, Any] = yaml.safe_load(
        files("models.simulation").joinpath("materials.yaml").read_text(encoding="utf-8")
    )
    return Materials(
        goods=tuple(line.strip() for line in raw["goods"].splitlines() if line.strip()),
        taught=_wording(raw, held_out=False),
        held_out=_wording(raw, held_out=True),
    )


def _wording(raw: dict[str, Any], *, held_out: bool) -> Wording:
    def part(texts: list[str]) -> tuple[str, ...]:
        return tuple(
            text
            for place, text in enumerate(texts, start=1)
            if (place % _HELD_OUT == 0) == held_out
        )

    return Wording(
        pages=part(raw["pages"]),
        videos=part(raw["videos"]),
        searches=part(raw["searches"]),
        everyday={domain: part(texts) for domain, texts in raw["everyday"].items()},
        words={name: part(texts) for name, texts in raw["words"].items()},
    )
