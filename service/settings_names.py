"""The names of settings: which there are, and what each is called where it was given.

A setting has a path, such as `("students", "main", "engines")`. As a variable it is called
`INTERESTS_STUDENTS__MAIN__ENGINES`, in a file `students.main.engines`. A variable may also hold a
whole group, here `INTERESTS_STUDENTS` or `INTERESTS_STUDENTS__MAIN`, as a JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from service.errors import ConfigurationError

PREFIX = "INTERESTS_"
_BETWEEN = "__"
_ANY = "<NAME>"
"""Stands in an error for a name that is the user's to choose."""

Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The settings below a name: the fields of `model`, or such a group under each `named` one."""

    model: type[BaseModel]
    named: bool = False

    def below(self, name: str) -> Group | None:
        """The group under this name; None where that is a setting. Raises `KeyError`."""
        if self.named:
            return Group(self.model)
        return _group_of(self.model.model_fields[name].annotation)


@dataclass(frozen=True, slots=True)
class Fault:
    """A name that cannot stand where it stands; `told` has `{}` for the name that could."""

    keys: Keys
    told: str
    instead: Keys = ()


def variable(keys: Sequence[object]) -> str:
    """The environment variable of a setting or group."""
    return PREFIX + _BETWEEN.join(map(str, keys)).upper()


def keys_of(name: str) -> Keys:
    """The path of a variable's setting or group; `name` in capitals, with the prefix."""
    return tuple(name.removeprefix(PREFIX).lower().split(_BETWEEN))


def nested(keys: Keys, value: object) -> object:
    """`value` under its keys, as a file would hold it."""
    for key in reversed(keys):
        value = {key: value}
    return value


def dotted(keys: Sequence[object]) -> str:
    """How a file's key, or one within JSON, is said, in one line whatever it holds."""
    said = ".".join(map(str, keys))
    return said if said.isprintable() else repr(said)


def decoded(value: object) -> object:
    """What a text says as JSON, where that is an object; everything else as it is.

    Raises `ConfigurationError` for an object with a name twice: JSON's reader keeps the last.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return json.loads(value, object_pairs_hook=_once)
        except (json.JSONDecodeError, RecursionError):
            return value
    return value


def inside(value: object, keys: Sequence[object]) -> tuple[object, ...] | None:
    """The keys that lead into `value`, down to a setting; None where a group lacks one.

    What comes behind a setting, such as an index into its list, is left out.
    """
    for place, key in enumerate(keys):
        value = decoded(value)
        if not isinstance(value, Mapping):
            return tuple(keys[:place])
        held = {str(name): below for name, below in value.items()}
        if str(key) not in held:
            return None
        value = held[str(key)]
    return tuple(keys)


def first_fault(group: Group | None, value: object, keys: Keys = ()) -> Fault | None:
    """The first name below `value` that is no setting, or that lacks a part; None: all are well.

    `group` is what may stand at `keys`, where `value` was given; None: a setting.
    """
    if group is None:
        if isinstance(value, Mapping) and value:
            return Fault((*keys, str(next(iter(value)))), "no such setting; did you mean {}?", keys)
        return None
    if value is None:  # a file's key with nothing behind it, or with comments alone
        return None
    value = decoded(value)
    if not isinstance(value, Mapping):
        example = (_ANY,) * group.named + tuple(group.model.model_fields)[:1]
        told = "holds several settings and takes no other value: set each by its name, such as {}"
        return Fault(keys, told, keys + example)
    for name, below in value.items():
        path = (*keys, str(name))
        fault = _misnamed(group, path, below) or first_fault(group.below(str(name)), below, path)
        if fault is not None:
            return fault
    return None


def _misnamed(group: Group, path: Keys, below: object) -> Fault | None:
    """What is wrong with the last name of `path`, which stands in `group`."""
    *around, name = path
    fields = group.model.model_fields
    if group.named:
        if not name.strip():
            return Fault(path, "a name is missing: {}", (*around, _ANY))
        if name in fields and not isinstance(decoded(below), Mapping):
            return Fault(path, "a name is missing before it: {}", (*around, _ANY, name))
    elif name not in fields:
        known: dict[str, Keys] = {field: (field,) for field in fields}
        for field in fields:
            inner = group.below(field)
            if inner is not None and not inner.named:  # one underscore instead of two
                known |= {f"{field}_{part}": (field, part) for part in inner.model.model_fields}
        if alike := get_close_matches(name, known, n=1):
            meant = (*around, *known[alike[0]])
            return Fault(path, "no such setting; did you mean {}?", meant)
        return Fault(path, "no such setting; `interests settings` lists them")
    return None


def _group_of(annotation: Any) -> Group | None:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is dict:
        of = _group_of(get_args(annotation)[1])
        return Group(of.model, named=True) if of is not None else None
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return Group(annotation) if is_model else None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(f"{twice} is given twice in one JSON object: keep one")
    return found
