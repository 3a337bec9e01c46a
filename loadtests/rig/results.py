"""What a scenario leaves behind: one call writes a table, all numbers, and a plot.

`NAME.json` has every turn, `NAME.md` the table with machine and command, `NAME.svg` the plot.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtests.rig.machine import ROOT, Machine
from loadtests.rig.plots import Draw, drawn
from service.files import whole_file

RESULTS = ROOT / "loadtests" / "results"


@dataclass(frozen=True, slots=True)
class Result:
    """What was found. `rows` are cells as they are shown; `data` is everything, for programs."""

    name: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: Mapping[str, Any]
    said: Sequence[str] = ()
    """Sentences below the table: the ratio, and what a reader has to know."""
    draw: Draw | None = None

    def show(self) -> None:
        """Print the table and the sentences."""
        table = Table(*self.heads, box=SIMPLE_HEAD, title=self.title, title_justify="left")
        for row in self.rows:
            table.add_row(*row)
        console = Console(width=170)
        console.print(table)
        for sentence in self.said:
            console.print(sentence, highlight=False, soft_wrap=True)

    def write(self, machine: Machine, folder: Path = RESULTS) -> list[Path]:
        """Write the three files, or two where nothing is drawn. Returns their paths.

        `machine` is from before the measurement, which would be seen in its load. Raises
        `ConfigurationError` where the plot's library is missing.
        """
        folder.mkdir(parents=True, exist_ok=True)
        command, at = command_line(sys.argv), datetime.now(UTC).isoformat(timespec="seconds")
        whole = {
            "name": self.name,
            "title": self.title,
            "command": command,
            "measured_at": at,
            "machine": asdict(machine),
            "said": list(self.said),
            "data": self.data,
        }
        options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
        files = {f"{self.name}.json": orjson.dumps(whole, option=options) + b"\n"}
        if self.draw is not None:
            files[f"{self.name}.svg"] = drawn(self.draw, self.title)
        files[f"{self.name}.md"] = self._page(machine, command, at).encode()
        for name, content in files.items():
            with whole_file(folder / name) as file:
                file.write(content)
        return [folder / name for name in files]

    def _page(self, machine: Machine, command: str, at: str) -> str:
        cells = [self.heads, ["---", *["---:"] * (len(self.heads) - 1)], *self.rows]
        table = ["| " + " | ".join(row) + " |" for row in cells]
        plot = [f"![{self.title}]({self.name}.svg)", ""] if self.draw is not None else []
        lines = [
            *(f"# {self.title}", "", *table, ""),
            *(line for sentence in self.said for line in (sentence, "")),
            *plot,
            *("```sh", command, "```", "", f"Measured at {at}.", ""),
            *(f"- {line}" for line in machine.lines()),
        ]
        return "\n".join(lines) + "\n"


def finish(result: Result, machine: Machine, folder: Path) -> None:
    """Show a result, write its files, and say where they are."""
    result.show()
    for path in result.write(machine, folder):
        Console().print(f"written: {_near(path)}", highlight=False, soft_wrap=True)


def command_line(argv: Sequence[str]) -> str:
    """What was typed, for a report: a path of this machine is shown as `…`."""
    module = Path(argv[0])
    where = module.resolve()
    name = ".".join(where.relative_to(ROOT).with_suffix("").parts) if _ours(where) else module.stem
    return " ".join(["python -m", name.removesuffix(".__main__"), *map(_unnamed, argv[1:])])


def _ours(path: Path) -> bool:
    return path.is_relative_to(ROOT)


def _unnamed(word: str) -> str:
    flag, equals, value = word.partition("=")
    if equals and flag.startswith("--"):
        return f"{flag}={_unnamed(value)}"
    return "…" if word.startswith(("/", "~", "..")) else word


def _near(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
