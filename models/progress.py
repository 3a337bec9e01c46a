"""How long work tells how far it is: what is called with it, and the bars that show it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

Progress = Callable[[int], None]
"""Told how many steps have just been done."""
Stage = Callable[[str, int], Progress]
"""Begins a stage of work: its name and its number of steps (0: unknown) give whom to tell."""
Share = Callable[[str, float], None]
"""Told what is being done, and the share of it done, 0 to 1."""
Say = Callable[[str], None]
"""Told what happened, in a line."""


def untold(done: int) -> None:
    """Tell nobody."""


def no_stage(what: str, steps: int) -> Progress:
    """A stage that nobody hears of."""
    return untold


def bars(console: Console) -> Bars:
    """Bars for stages on a terminal; nothing at all where the console is none."""
    from rich import progress

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def stages_of(shown: Bars) -> Stage:
    """Stages, a bar each."""

    def begin(what: str, steps: int) -> Progress:
        task = shown.add_task(what, total=steps or None)
        return lambda done: shown.advance(task, done)

    return begin
