"""`interests up`: the whole system on this machine; what `make run` calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.local.stack import LocalStack, StackOptions
from models.packaging.registry import DEFAULT_STUDENT


def up(
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Articles to serve instead of the demo's (JSON lines, MIND's news.tsv)."),
    ] = None,
    signals: Annotated[
        list[Path] | None,
        typer.Option(help="Signals to load instead of the demo's (JSON lines)."),
    ] = None,
    user: Annotated[str | None, typer.Option(help="The user to ask for first.")] = None,
    student: Annotated[
        str, typer.Option(help="The student to serve: `name`, `name@version`, or its folder.")
    ] = DEFAULT_STUDENT,
    port: Annotated[int, typer.Option(help="The gateway's port.")] = 8080,
    home: Annotated[Path, typer.Option(help="Where everything it makes is kept.")] = Path(".local"),
    beside: Annotated[
        list[str] | None,
        typer.Option(help="A further student, on an engine of its own; repeat it for more."),
    ] = None,
    redis_port: Annotated[
        int | None, typer.Option(help="Redis's port; a free one when absent.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Show one answer and stop, instead of staying up.")
    ] = False,
) -> None:
    """Start Redis, index, student on vLLM and gateway; ask once; stay up until Ctrl-C."""
    options = StackOptions(
        home=home,
        port=port,
        articles=tuple(data or ()),
        signals=tuple(signals or ()),
        user=user,
        student=student,
        beside=tuple(beside or ()),
        redis_port=redis_port,
    )
    LocalStack(options, Console()).run(stay=not once)
