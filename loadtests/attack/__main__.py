"""Attack a gateway with every fault that was once found, and print what was seen.

    python -m loadtests.attack --student .cache/students/interests-small/9/student.yaml
    python -m loadtests.attack --student … --only engine --tree ../before   # another checkout

Starts its own Redis, scripted engine and gateway on the loopback, and ends them. The exit code is 1
where an attack was not withstood. Lateness under many callers is measured by `loadtests.crowd`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtests.attack import commands, connections, engines, texts
from loadtests.attack.stage import Stage, stage
from loadtests.attack.table import ATTACKS, Attack, Seen

_PARTS = (texts, engines, connections, commands)
"""Imported for what they put into the table."""


def main() -> None:
    """Read the arguments, attack, print the table."""
    areas = list(dict.fromkeys(known.area for known in ATTACKS))
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--student", type=Path, required=True, help="a built student's student.yaml")
    cli.add_argument("--tree", type=Path, default=Path(__file__).parents[2], help="the checkout")
    cli.add_argument("--only", choices=areas, nargs="+", default=areas, help="these areas alone")
    chosen = cli.parse_args()
    table = Table("area", "attack", "seen", "held", box=SIMPLE_HEAD)
    console, lost = Console(), 0
    with (
        stage(chosen.tree.resolve(), chosen.student.resolve()) as running,
        console.status("attacking") as status,
    ):
        for known in ATTACKS:
            if known.area in chosen.only:
                status.update(f"{known.area}: {known.name}")
                seen = _try(known, running)
                lost += not seen.held
                table.add_row(known.area, known.name, seen.what, "yes" if seen.held else "NO")
    console.print(table)
    sys.exit(1 if lost else 0)


def _try(known: Attack, running: Stage) -> Seen:
    try:
        return known.run(running)
    except httpx.HTTPError as error:
        return Seen(f"no answer: {type(error).__name__}", held=False)


if __name__ == "__main__":
    main()
