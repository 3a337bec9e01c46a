"""Groups of commands that import a command when it is called, and not to list it.

So what lists the commands costs little, and a group may hold commands of packages that it does not
know, or that are not installed: then they are not listed.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Subcommand:
    """Where a subcommand is: `module:name` of a function or of a Typer application."""

    place: str
    help: str
    """The first line of its own help: the list of commands is shown without importing any."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """For libraries that read it once, when they are imported; what is set already stays."""

    @property
    def installed(self) -> bool:
        """Whether the top-level package that it lives in is there."""
        module, _, _ = self.place.partition(":")
        return importlib.util.find_spec(module.partition(".")[0]) is not None

    def load(self, name: str) -> Any:
        """Import it, as a command of that name."""
        module, _, attribute = self.place.partition(":")
        for variable, value in self.environment.items():
            os.environ.setdefault(variable, value)
        # What modules make stays: the collector would walk it over and over, for nothing.
        gc.disable()
        try:
            found = getattr(importlib.import_module(module), attribute)
        finally:
            gc.enable()
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(name)(found)
            command = typer.main.get_command(alone)
        command.name = name
        return command


def lazy_group(subcommands: Mapping[str, Subcommand]) -> type[TyperGroup]:
    """A group with these subcommands, beside those that are registered the usual way."""

    class LazyGroup(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            for name, subcommand in subcommands.items():
                if subcommand.installed:
                    self.add_command(TyperCommand(name, help=subcommand.help))

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """Put the subcommand itself in the place of its line in the list, then resolve."""
            if args and args[0] in self.commands and args[0] in subcommands:
                self.add_command(subcommands[args[0]].load(args[0]))
            return super().resolve_command(ctx, args)

    return LazyGroup
