"""`interests experiments …`: check a file of experiments, and see what it does to users."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Annotated

import typer

from service.commands import overlay
from service.commands.lazy import Subcommand, lazy_group
from service.commands.overlay import experiments_file, lines_of, overlay_or_none
from service.commands.watch import watch
from service.errors import InvalidInput
from service.experiments.assign import Assigner
from service.experiments.changes import forbidden
from service.experiments.definitions import Experiments, percent
from service.experiments.file import CheckedFile, RefusedFile, read_experiments
from service.experiments.moves import moves
from service.experiments.overlay import Overlay, apply
from service.experiments.sample_size import compared, users_needed
from service.experiments.servable import Servable
from service.parts import wall_ms
from service.settings import Settings, load_settings
from service.wiring_students import configured_students, servable_of

SUBCOMMANDS = {
    "simulate": Subcommand(
        "models.commands.simulate_experiment:simulate",
        "Let invented readers of the demo's newspaper ask, click and come back, over the real API.",
    ),
    "report": Subcommand(
        "models.commands.experiments:report",
        "Say from exported events which arm of an experiment is better, and how sure that is.",
    ),
}
"""Those of the model plane, which this package does not know: imported when they are called."""

app = typer.Typer(no_args_is_help=True, cls=lazy_group(SUBCOMMANDS))
for _command in (overlay.pause, overlay.resume, overlay.ramp, overlay.stop, overlay.history, watch):
    app.command()(_command)


@app.callback()
def experiments() -> None:
    """Check a file of experiments, see what it does to users, and act on what runs."""


@app.command()
def check(file: Annotated[Path, typer.Argument(help="File of experiments.")]) -> None:
    """Say every fault of a file in a line of its own, with exit code 2 where there is one."""
    settings = load_settings()
    checked = _read_or_exit(file, _servable(settings))
    by_hand = overlay_or_none(settings)
    found = apply(checked.experiments, by_hand or Overlay()).by_key()
    running = [key for key, (_, one) in found.items() if one.runs(wall_ms())]
    typer.echo(f"{file}: no fault; experiments: {len(found)}, of which run now: {len(running)}")
    for line in lines_of(checked.experiments, by_hand):
        typer.echo(line)


@app.command()
def show(
    user: Annotated[str, typer.Argument(help="User id.")],
    file: Annotated[
        Path | None, typer.Option(help="File of experiments; that of the settings when absent.")
    ] = None,
) -> None:
    """Show which arms a user is in now, a line for each layer."""
    settings = load_settings()
    checked = _read_or_exit(file or experiments_file(settings), _servable(settings))
    by_hand = overlay_or_none(settings)
    found = apply(checked.experiments, by_hand or Overlay())
    places = {place.layer: place for place in Assigner(found).assign(user, wall_ms())}
    for layer in found.layers:
        place = places.get(layer.name)
        listed = " (by the allowlist)" if place and place.listed else ""
        unseen = (
            " (a shadow: nothing of it is served)" if place and place.experiment.is_shadow else ""
        )
        told = "no experiment"
        if place:
            told = f"{place.experiment.key}: {place.assigned}{listed}{unseen}"
        typer.echo(f"{layer.name}: {told}")
    for line in lines_of(checked.experiments, by_hand):
        typer.echo(line)


@app.command()
def plan(
    file: Annotated[Path, typer.Argument(help="The new file of experiments.")],
    running: Annotated[
        Path | None, typer.Option(help="The file in use; that of the settings when absent.")
    ] = None,
    users_a_day: Annotated[
        int | None, typer.Option(help="Users who come for the first time each day.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Share of users with the outcome, 0.05 for 5%.")
    ] = None,
    lift: Annotated[
        float | None, typer.Option(help="Change of it that is to be seen, 0.02 for 5% to 5.1%.")
    ] = None,
) -> None:
    """Say what a new file changes: the share of all users who enter, leave or change arms.

    With --users-a-day, --rate and --lift also how long its experiments take to show such a lift.
    """
    need = _need(users_a_day, rate, lift)
    settings = load_settings()
    servable = _servable(settings)
    new = _read_or_exit(file, servable)
    now = _read_or_exit(running or experiments_file(settings), servable)
    by_hand = overlay_or_none(settings)
    before, after = (apply(one.experiments, by_hand or Overlay()) for one in (now, new))
    for line in _planned(before, after):
        typer.echo(line)
    for line in _lengths(after, *need) if need else ():
        typer.echo(line)
    for line in lines_of(new.experiments, by_hand):
        typer.echo(line)
    if faults := forbidden(now.experiments, new.experiments):
        for fault in faults:
            typer.echo(f"error: {new.line(*fault)}", err=True)
        raise typer.Exit(2)


def _planned(now: Experiments, new: Experiments) -> list[str]:
    found = moves(now, new, wall_ms())
    told = [
        f"{one.key}: {percent(one.entering)} of all users enter, {percent(one.leaving)} leave,"
        f" {percent(one.moving)} change arms"
        for one in found
    ]
    before = now.by_key()
    unseen = [
        f"{key}: a shadow, so nobody's answer changes"
        for key, (layer, one) in new.by_key().items()
        if one.is_shadow and before.get(key) != (layer, one)
    ]
    return [*(told or ["nobody's arm changes"]), *unseen]


def _need(
    users_a_day: int | None, rate: float | None, lift: float | None
) -> tuple[int, float, float] | None:
    """The three options; None where none is given. Raises `InvalidInput`."""
    if users_a_day is None and rate is None and lift is None:
        return None
    if users_a_day is None or rate is None or lift is None:
        raise InvalidInput("give --users-a-day, --rate and --lift, all three")
    if users_a_day < 1:
        raise InvalidInput("--users-a-day: give 1 or more")
    if not 0 < rate < 1:
        raise InvalidInput("--rate: give more than 0 and less than 1")
    if not (lift and 0 < rate * (1 + lift) < 1):
        raise InvalidInput("--lift: give what leaves the rate above 0 and below 1, and is not 0")
    return users_a_day, rate, lift


def _lengths(new: Experiments, users_a_day: int, rate: float, lift: float) -> list[str]:
    lines = []
    for key, (_, one) in new.by_key().items():
        if not one.runs_at_all:
            continue
        if one.is_shadow:
            lines.append(f"{key}: a shadow, of which readers see nothing")
        elif (shares := compared(one)) is None:
            lines.append(f"{key}: no two arms with users to compare")
        else:
            users = users_needed(rate, lift, *shares)
            days = ceil(users / users_a_day)
            lines.append(f"{key}: {users:,} users must come to see the lift: {days:,} days")
    return lines


def _servable(settings: Settings) -> Servable:
    return servable_of(configured_students(settings))


def _read_or_exit(file: Path, servable: Servable) -> CheckedFile:
    try:
        return read_experiments(file, servable)
    except RefusedFile as error:
        for fault in error.faults:
            typer.echo(f"error: {fault}", err=True)
        raise typer.Exit(2) from None
