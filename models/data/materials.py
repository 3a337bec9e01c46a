"""What simulated users buy, and how they phrase what they do: `materials.yaml`, our own writing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from service.records import Domain


@dataclass(frozen=True, slots=True)
class Materials:
    """The words around an interest. `{p}` stands for a phrase, `{s}` for it in small letters."""

    goods: tuple[str, ...]
    pages: tuple[str, ...]
    videos: tuple[str, ...]
    searches: tuple[str, ...]
    everyday: dict[Domain, tuple[str, ...]]


def load_materials() -> Materials:
    """Read the packaged file."""
    raw: dict[str, Any] = yaml.safe_load(
        files("models.data").joinpath("materials.yaml").read_text(encoding="utf-8")
    )
    return Materials(
        goods=tuple(line.strip() for line in raw["goods"].splitlines() if line.strip()),
        pages=tuple(raw["pages"]),
        videos=tuple(raw["videos"]),
        searches=tuple(raw["searches"]),
        everyday={domain: tuple(texts) for domain, texts in raw["everyday"].items()},
    )
