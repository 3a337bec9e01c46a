"""What was given for the settings, source by source, so that an error names what the user wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from service.errors import ConfigurationError
from service.kubernetes import service_links
from service.settings_names import (
    PREFIX,
    Fault,
    Group,
    Keys,
    dotted,
    first_fault,
    inside,
    keys_of,
    nested,
    variable,
)
from service.yaml_files import YamlFile, read_fields

CONFIG = f"{PREFIX}CONFIG"
_OTHERS = frozenset(
    {CONFIG, *(PREFIX + name for name in ("API_KEY", "ENGINE_PYTHON", "TRAIN_PYTHON"))}
)
"""Names with the prefix that are no settings of the gateway: of commands and of the environment."""
_TESTS = f"{PREFIX}TEST_"


class Source(Protocol):
    """A place that settings are given in."""

    def find(self, keys: Sequence[object]) -> str | None:
        """What is given at these keys, as an error names it; None: nothing is."""
        ...

    def name(self, keys: Sequence[object]) -> str:
        """What would be given here at these keys, as an error names it."""
        ...

    def refuse_unknown(self, settings: type[BaseModel]) -> None:
        """Raise `ConfigurationError` for a name that is no setting, with what may be meant."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a command."""

    given: Mapping[str, object]

    def find(self, keys: Sequence[object]) -> str | None:
        """See `Source`."""
        return self.name(keys) if keys[0] in self.given else None

    def name(self, keys: Sequence[object]) -> str:
        """See `Source`."""
        return f"--{keys[0]}".replace("_", "-")

    def refuse_unknown(self, settings: type[BaseModel]) -> None:
        """The command has done that."""


@dataclass(frozen=True, slots=True)
class Variables:
    """Variables with the prefix, in capitals; `where` stands before each in an error."""

    given: Mapping[str, str]
    where: str = ""

    def find(self, keys: Sequence[object]) -> str | None:
        """See `Source`."""
        for held in range(len(keys), 0, -1):
            name = variable(keys[:held])
            within = inside(self.given[name], keys[held:]) if name in self.given else None
            if within is not None:
                return self.where + (f"{name}: {dotted(within)}" if within else name)
        below = variable((*keys, ""))
        return self.name(keys) if any(name.startswith(below) for name in self.given) else None

    def name(self, keys: Sequence[object]) -> str:
        """See `Source`."""
        return self.where + variable(keys)

    def refuse_unknown(self, settings: type[BaseModel]) -> None:
        """See `Source`."""
        for name, value in self.given.items():
            keys = keys_of(name)
            try:
                fault = first_fault(Group(settings), nested(keys, value))
            except ConfigurationError as error:
                raise ConfigurationError(f"{self.where}{name}: {error}") from None
            if fault is not None:
                raise ConfigurationError(self.where + _said_of(name, keys, fault))


@dataclass(frozen=True, slots=True)
class File:
    """The file that `INTERESTS_CONFIG` names."""

    file: YamlFile

    def find(self, keys: Sequence[object]) -> str | None:
        """See `Source`."""
        within = inside(self.file.fields, keys)
        return f"{self.file.place(keys)}: {dotted(within)}" if within is not None else None

    def name(self, keys: Sequence[object]) -> str:
        """See `Source`."""
        return f"{self.file.place(keys)}: {dotted(keys)}"

    def refuse_unknown(self, settings: type[BaseModel]) -> None:
        """See `Source`."""
        fault = first_fault(Group(settings), self.file.fields)
        if fault is not None:
            told = fault.told.format(dotted(fault.instead))
            raise ConfigurationError(f"{self.name(fault.keys)}: {told}")


@dataclass(frozen=True, slots=True)
class Given:
    """All sources, the strongest first."""

    sources: tuple[Source, ...]

    def name(self, keys: Sequence[object]) -> str:
        """What the setting at these keys is called where it was given, or its group was.

        A secret that was read from a file goes by the name of the setting that says which file.
        """
        twin = (*keys[:-1], f"{keys[-1]}_file")
        for wanted in (keys, twin):
            for source in self.sources:
                if found := source.find(wanted):
                    return found
        for depth in range(len(keys) - 1, 0, -1):
            for source in self.sources:
                if source.find(keys[:depth]):
                    return source.name(keys)
        return variable(keys)

    def refuse_unknown(self, settings: type[BaseModel]) -> None:
        """Raise `ConfigurationError` for a name, in any source, that is no setting."""
        for source in self.sources:
            source.refuse_unknown(settings)


def read_given(
    options: Mapping[str, object],
    environment: Mapping[str, str],
    dotenv: Mapping[str, str | None],
) -> tuple[Given, Mapping[str, Any]]:
    """All that was given, and the fields of the file among it; none where there is no file.

    Raises `ConfigurationError`: `INTERESTS_CONFIG` names no file, or one that holds no fields.
    """
    ours, lines = _ours(environment), _ours(dotenv)
    sources: list[Source] = [
        Options(options),
        Variables(_settings_of(ours)),
        Variables(_settings_of(lines), ".env: "),
    ]
    path = ours.get(CONFIG) or lines.get(CONFIG)
    if not path:
        return Given(tuple(sources)), {}
    if not Path(path).is_file():
        raise ConfigurationError(f"{CONFIG} names {path}, which is not a file")
    file = read_fields(Path(path), "gateway's settings")
    return Given((*sources, File(file))), file.fields


def _ours(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Those with the prefix, their names in capitals: they are read in any."""
    capitals = {name.upper(): value or "" for name, value in variables.items()}
    return {name: value for name, value in capitals.items() if name.startswith(PREFIX)}


def _settings_of(ours: Mapping[str, str]) -> dict[str, str]:
    """Without those with the prefix that are meant for others."""
    others = _OTHERS | service_links(ours)
    return {
        name: value
        for name, value in ours.items()
        if name not in others and not name.startswith(_TESTS)
    }


def _said_of(name: str, keys: Keys, fault: Fault) -> str:
    """The fault of a variable: in its own name, or in the JSON that it holds."""
    if len(fault.keys) > len(keys):
        told = fault.told.format(dotted(fault.instead[len(keys) :]))
        return f"{name}: {dotted(fault.keys[len(keys) :])}: {told}"
    rest = keys[len(fault.keys) :] if len(fault.instead) >= len(fault.keys) else ()
    return f"{name}: {fault.told.format(variable((*fault.instead, *rest)))}"
