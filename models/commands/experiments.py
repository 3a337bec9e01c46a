"""`interests experiments report`: the verdict of an experiment, from exported events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from models.progress import bars, stages_of
from service.errors import ConfigurationError, InvalidInput

_REPORTS = Path(".local/experiments")
_DAY_S = 86_400.0
_SLOW_MS = 500.0

_Key = Annotated[str, typer.Argument(help="Key of the experiment.")]
_Events = Annotated[Path, typer.Option(help="Folder that `interests events export` wrote.")]
_File = Annotated[
    Path | None,
    typer.Option(help="File of experiments: says which arm is the control, and the shares."),
]
_Out = Annotated[
    Path | None,
    typer.Option(help=f"Report folder, {_REPORTS}/KEY when absent; a report in it is replaced."),
]
_Offline = Annotated[
    Path | None,
    typer.Option(help="Report folder of `interests evaluate`: what it had predicted for the arms."),
]
_History = Annotated[
    Path | None,
    typer.Option(help="What `interests experiments history` said: who paused or ramped it, why."),
]
_Day = Annotated[float, typer.Option(help="Seconds of a day: how often is looked.")]
_Slow = Annotated[float, typer.Option(help="Milliseconds over which an answer is slow.")]


def report(
    key: _Key,
    events: _Events,
    experiments: _File = None,
    offline: _Offline = None,
    history: _History = None,
    out: _Out = None,
    day: _Day = _DAY_S,
    slow_ms: _Slow = _SLOW_MS,
) -> None:
    """Say from exported events which arm of an experiment is better, and how sure that is."""
    if not day >= 0.001:
        raise InvalidInput("give 0.001 or more", field="--day")
    try:
        from models.verdict import run
        from models.verdict.report.write import check_target, write_report
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed: pip install 'interests[report]', or make report where "
            "you have the sources"
        ) from error
    folder = out or _REPORTS / key
    check_target(folder)
    with bars(Console(stderr=True)) as shown:
        said = run.report(
            key,
            events,
            experiments=experiments,
            day_s=day,
            slow_ms=slow_ms,
            offline=offline,
            interventions=_interventions(key, history),
            stage=stages_of(shown),
        )
        write_report(folder, said)
    for line in run.headline(said):
        typer.echo(line)
    typer.echo(f"report: {folder}")


def _interventions(key: str, history: Path | None) -> list[str]:
    """The lines of a history that are of this experiment, the oldest first."""
    if history is None:
        return []
    try:
        lines = history.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{history} cannot be read: {error}", field="--history") from error
    return [f"By hand: {line}" for line in reversed(lines) if line.startswith(f"{key}: ")]
