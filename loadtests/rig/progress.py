"""How far a measurement is, on the terminal. Drawn between turns only: drawing costs the generator.

Where standard error is no terminal nothing is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Step = Callable[[str], None]
"""Say what is done next; what was said before is done."""


@contextmanager
def steps(total: int) -> Iterator[Step]:
    """A bar of so many steps for the block."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    console = Console(stderr=True)
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, auto_refresh=False
    ) as bar:
        task, begun = bar.add_task("", total=total), -1

        def step(what: str) -> None:
            nonlocal begun
            begun += 1
            bar.update(task, description=what, completed=begun, refresh=True)

        yield step
