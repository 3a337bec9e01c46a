"""`interests …`: one command, whose subcommands are the mains of this project."""

from __future__ import annotations

import sys

import typer

from service.commands import (
    ask,
    doctor,
    engine,
    evaluate,
    index,
    serve,
    settings,
    signals,
    students,
    train,
    up,
    users,
)
from service.errors import InterestsError

app = typer.Typer(
    name="interests",
    help="News candidates from a user's cross-domain signals, by queries that a student writes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("serve")(serve.serve)
app.command("ask")(ask.ask)
app.command("engine")(engine.engine)
app.command("evaluate")(evaluate.evaluate)
app.command("doctor")(doctor.doctor)
app.command("settings")(settings.settings)
app.add_typer(index.app, name="index", help="Load, change and remove articles.")
app.add_typer(signals.app, name="signals", help="Load and look at users' signals.")
app.add_typer(users.app, name="users", help="Forget users.")
app.command("simulate")(train.simulate)
app.add_typer(train.train, name="train", help="Train students.")
app.add_typer(students.students, name="students", help="Build, verify and list students.")


def main() -> None:
    """Run the command; what the user can mend is one line on stderr and exit code 2."""
    try:
        app()
    except InterestsError as error:
        typer.echo(error.line(), err=True)
        sys.exit(2)
