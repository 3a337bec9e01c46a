"""A Dockerfile read into stages and instructions, and what of a folder goes into a build.

Reads what ours is written in: continued lines, comments, options of instructions, the exec form.
Source: Docker's "Dockerfile reference" and, for the patterns, its "Build context".
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_OPTION = re.compile(r"--([a-z-]+)=(\S+)\s+")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Instruction:
    """`name --option=value … value`, where `line` is that of its first word."""

    line: int
    name: str
    options: Mapping[str, str]
    value: str

    @property
    def words(self) -> list[str] | None:
        """The words of its exec form; None where a shell would read it."""
        try:
            found = json.loads(self.value.removeprefix("CMD ").strip())
        except ValueError:
            return None
        return found if isinstance(found, list) else None

    def pairs(self, known: Mapping[str, str]) -> dict[str, str]:
        """The `name=value` of an ENV, LABEL or ARG, with the variables in `known` replaced."""
        split = (word.partition("=") for word in shlex.split(self.value))
        return {name: expand(value, known) for name, _, value in split}


@dataclass(frozen=True)
class Stage:
    """What stands between one FROM and the next."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[Instruction]:
        """Its instructions of one kind, in order."""
        return [found for found in self.instructions if found.name == name]

    def last(self, name: str) -> Instruction:
        """The one that counts where only the last does. Raises `IndexError`: there is none."""
        return self.all(name)[-1]


@dataclass(frozen=True)
class Dockerfile:
    """The stages by name, in order, and the defaults of the arguments before them."""

    arguments: Mapping[str, str]
    stages: Mapping[str, Stage]


def read_dockerfile(text: str) -> Dockerfile:
    """Raises `ValueError` for a stage without a name."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    name, base, body = "", "", list[Instruction]()
    for instruction in _instructions(text):
        if instruction.name == "FROM":
            if name:
                stages[name] = Stage(name, base, tuple(body))
            base, word, name = instruction.value.split()
            if word != "AS":
                raise ValueError(f"line {instruction.line}: a stage needs a name")
            base, body = expand(base, arguments), []
        elif name:
            body.append(instruction)
        else:
            arguments |= instruction.pairs(arguments)
    stages[name] = Stage(name, base, tuple(body))
    return Dockerfile(arguments, stages)


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace `$NAME` and `${NAME}`; what is not known becomes empty, as in a build."""
    return _VARIABLE.sub(lambda found: known.get(found[1] or found[2], ""), text)


def build_context(folder: Path, patterns: str) -> set[str]:
    """The paths of all files in `folder` that a `.dockerignore` of this content leaves in.

    A folder that is left out is not looked into, unless a later pattern names what is below it.
    """
    lines = [line.strip() for line in patterns.splitlines()]
    rules = [
        _Rule(line.removeprefix("!").strip("/"), not line.startswith("!"))
        for line in lines
        if line and not line.startswith("#")
    ]
    return set(_left_in(folder, "", rules))


@dataclass(frozen=True)
class _Rule:
    glob: str
    leaves_out: bool

    def fits(self, name: str) -> bool:
        """Whether it speaks of this path, or of a folder above it."""
        parts = name.split("/")
        pattern = _pattern(self.glob)
        return any(pattern.fullmatch("/".join(parts[:d])) for d in range(1, len(parts) + 1))


def _left_in(folder: Path, above: str, rules: Sequence[_Rule]) -> Iterator[str]:
    for path in folder.iterdir():
        name = above + path.name
        left_out = False
        for rule in rules:
            if rule.leaves_out != left_out and rule.fits(name):
                left_out = rule.leaves_out
        if path.is_dir() and not path.is_symlink():
            back = [rule.glob for rule in rules if not rule.leaves_out]
            if not left_out or any("*" in glob or glob.startswith(f"{name}/") for glob in back):
                yield from _left_in(path, f"{name}/", rules)
        elif not left_out:
            yield name


def _instructions(text: str) -> Iterator[Instruction]:
    start, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not (line.strip() or parts):
            continue
        start = start if parts else number
        parts.append(line.rstrip().removesuffix("\\"))
        if line.rstrip().endswith("\\"):
            continue
        name, _, value = " ".join(part.strip() for part in parts).partition(" ")
        options = {}
        while option := _OPTION.match(value):
            options[option[1]] = option[2]
            value = value[option.end() :]
        yield Instruction(start, name, options, value.strip())
        parts = []


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    said = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(said.get(piece, re.escape(piece)) for piece in pieces))
