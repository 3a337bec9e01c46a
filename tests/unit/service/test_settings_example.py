"""deploy/settings.example.yaml holds every setting, with its default, and can be used as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings, load_settings
from service.settings_groups import KeySettings, StudentSettings, TlsSettings
from service.settings_names import Group

EXAMPLE = Path(__file__).parents[3] / "deploy" / "settings.example.yaml"
EXAMPLES_OF_ITS_OWN = ("students.*.manifest", "students.*.engines", "students.*.timeout_ms")


def uncommented() -> dict[str, Any]:
    """The file as if nothing in it was commented out."""
    text = re.sub(r"^( *)# ( *[a-z_]+:)", r"\1\2", EXAMPLE.read_text(), flags=re.MULTILINE)
    held: dict[str, Any] = yaml.safe_load(text)
    return held


def existing(group: Group, around: str = "") -> set[str]:
    """Every setting below a group; `*` stands for a name of the user's choice."""
    found = set()
    for name in group.model.model_fields:
        below = group.below(name)
        if below is None:
            found.add(around + name)
        else:
            found |= existing(Group(below.model), f"{around}{name}.{'*.' * below.named}")
    return found


def given(group: Group, held: dict[str, Any], around: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting that is held, by the same names, with its value."""
    for name, value in held.items():
        below = group.below(name) if name in group.model.model_fields else None
        if below is None:
            yield around + name, value
        elif below.named:
            for inner in value.values():
                yield from given(Group(below.model), inner, f"{around}{name}.*.")
        else:
            yield from given(below, value, f"{around}{name}.")


def test_every_setting_is_in_the_file_commented_or_not_and_nothing_else() -> None:
    assert {name for name, _ in given(Group(Settings), uncommented())} == existing(Group(Settings))


def test_what_is_not_commented_out_has_its_default() -> None:
    defaults = load_settings(students={}, keys={}).model_dump(mode="json")
    of = {"students": StudentSettings, "keys": KeySettings}
    for name, value in given(Group(Settings), yaml.safe_load(EXAMPLE.read_text())):
        group, _, inner = name.partition(".*.")
        if name == "default_student" or name in EXAMPLES_OF_ITS_OWN or group == "keys":
            continue
        in_file = reduce(getitem, name.split("."), defaults) if not inner else None
        default = of[group].model_fields[inner].default if inner else in_file
        assert value == default, name


def test_the_file_is_accepted_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERESTS_CONFIG", str(EXAMPLE))
    settings = load_settings()
    assert settings.students
    assert settings.keys


def test_a_setting_within_a_group_is_found_by_its_name() -> None:
    found = existing(Group(Settings))
    assert {"port", "redis_tls.ca_file", "students.*.tls.verify", "keys.*.rights"} <= found
    assert {f"opensearch_tls.{name}" for name in TlsSettings.model_fields} <= found
