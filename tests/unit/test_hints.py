"""Commands that messages, help texts and pages name are commands that there are, as written."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.cli import SUBCOMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "models" / "students").rglob("card.md"))
PAGES += sorted((ROOT / "deploy").rglob("*.md"))
PAGES += sorted((ROOT / "helm").rglob("*.md"))
PAGES += [ROOT / "loadtests" / "README.md"]
NAMES = "|".join(SUBCOMMANDS)
NAMED = re.compile(rf"(?<![\w/-])interests (?:{NAMES})(?![\w-])")
COMMAND = r"(?:\S*/)?((?:interests|make|python -m)\s[^`]+)"
QUOTED = re.compile(f"`{COMMAND}`")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
EXPLAINED = re.compile(r"that `interests|Generated from the code by")
"""Texts that say where something comes from, and ask nobody to run it."""
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def texts_of(module: Path) -> Iterator[tuple[int, str]]:
    """What a module may say to people: its strings but for docstrings, values in them as `1`."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(node.value)  # a docstring
        if isinstance(node, ast.JoinedStr):
            inside.update(ast.walk(node))
            parts = (p.value if isinstance(p, ast.Constant) else "1" for p in node.values)
            yield node.lineno, "".join(map(str, parts))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.lineno, node.value


def hints() -> list[tuple[str, str]]:
    """Every text of the code that names a command, with its place."""
    found = []
    for room in ("service", "models", "deploy"):
        for module in sorted((ROOT / room).rglob("*.py")):
            place = module.relative_to(ROOT)
            for line, text in texts_of(module):
                if NAMED.search(text) or QUOTED.search(text):
                    found.append((f"{place}:{line}", text))
    return found


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words after `interests` call, and what is left for it."""
    assert words[0] in SUBCOMMANDS, f"no such command: {words[0]}"
    command = SUBCOMMANDS[words[0]].load(words[0])
    rest = words[1:]
    while hasattr(command, "commands") and rest:
        assert rest[0] in command.commands, f"no such command: {rest[0]}"
        context = command.make_context(words[0], [], resilient_parsing=True)
        _, command, _ = command.resolve_command(context, rest[:1])  # a lazy one is imported
        rest = rest[1:]
    return command, rest


def parses(line: str, *, whole: bool) -> None:
    """Raise unless the command line is one; `whole`: nothing that it needs is left out.

    A line may name what stands for something (`FILE…`), and go on with `…`.
    """
    words = shlex.split(line.replace("…", "").rstrip("& "), comments=True)
    if words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= TARGETS, line
        return
    if words[0].endswith("python"):
        module = ROOT.joinpath(*words[2].split("."))
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), line
        return
    if words[1:2] and words[1].startswith("--"):
        return
    command, rest = command_of(words[1:])
    if hasattr(command, "commands"):
        assert not whole, f"{line}: names no command of its group"
        return
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    given = {word.partition("=")[0] for word in rest if word.startswith("--") and word != "--"}
    assert given <= options, f"{line}: has no {given - options}"
    if whole:
        command.make_context(words[1], rest)


@pytest.mark.parametrize(("place", "text"), hints(), ids=[place for place, _ in hints()])
def test_a_hint_names_a_command_that_works_as_written(place: str, text: str) -> None:
    quoted = QUOTED.findall(text)
    named = len(NAMED.findall(text))
    assert named == sum(len(NAMED.findall(line)) for line in quoted), "stands in backticks"
    for line in quoted:
        parses(line, whole=not EXPLAINED.search(text))


def commands_shown(page: str) -> Iterator[str]:
    """Command lines of a page's `sh` blocks, lines that go on put together."""
    for language, block in FENCED.findall(page):
        for line in block.replace("\\\n", " ").splitlines() if language in {"", "sh"} else ():
            if found := re.match(rf"\s*(?:[A-Z_]+=\S+\s+)*{COMMAND}", line):
                yield found[1]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_the_commands_of_a_page_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for line in commands_shown(text):
        parses(line, whole=True)
    for line in QUOTED.findall(FENCED.sub("", text)):
        parses(" ".join(line.split()), whole=False)
