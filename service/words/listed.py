"""The words of each language that stand in `lists/`: a file a language, where it has one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from service.languages import Language


@cache
def lists_of(language: Language) -> Mapping[str, Any]:
    """What the language's file says; nothing where it has none. Not to be changed."""
    file = files("service.words").joinpath("lists", f"{language}.yaml")
    if not file.is_file():
        return {}
    read: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return read


@cache
def snowball_stop_words(language: Language) -> frozenset[str]:
    """Snowball's stop words: what the indexes drop. None for a language without a list of theirs.

    English has a list of its own in `mapping.json`.
    """
    return frozenset(lists_of(language).get("stop", "").split())
