"""`interests …`: one command, whose subcommands are the mains of this project.

A command's module is imported when it is called. So the gateway does not load what trains
students, and `service` needs neither `models` nor `deploy` to be installed: where they are not,
their commands are not listed.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from service.commands.lazy import Subcommand, lazy_group
from service.errors import InterestsError

# A product of one request's vectors is done in less time than the threads of numpy's library wait
# for the next one, each keeping a core busy that other requests need.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}

SUBCOMMANDS = {
    "up": Subcommand(
        "deploy.local.command:up",
        "Start Redis, index, student on vLLM and gateway; ask once; stay up until Ctrl-C.",
    ),
    "serve": Subcommand(
        "service.commands.serve:serve",
        "Serve the gateway until SIGTERM or Ctrl-C; all other settings come from the environment.",
        _ONE_THREAD,
    ),
    "ask": Subcommand("service.commands.ask:ask", "Ask a running gateway for a user's candidates."),
    "engine": Subcommand(
        "models.commands.engine:engine", "Serve a built student with vLLM, as its manifest says."
    ),
    "evaluate": Subcommand(
        "models.commands.evaluate:evaluate",
        "Measure the queries of a student and of baselines, on simulated readers or a reading log.",
    ),
    "doctor": Subcommand(
        "service.commands.doctor:doctor",
        "Check settings, Redis, the article index, students and engines, and a running gateway.",
    ),
    "settings": Subcommand(
        "service.commands.settings:settings", "List every setting with its default and meaning."
    ),
    "index": Subcommand("service.commands.index:app", "Load, change and remove articles."),
    "signals": Subcommand("service.commands.signals:app", "Load and look at users' signals."),
    "users": Subcommand("service.commands.users:app", "Forget users."),
    "events": Subcommand(
        "service.commands.events:app",
        "Export what was served and what readers did with it, and see what is missing.",
    ),
    "experiments": Subcommand(
        "service.commands.experiments:app",
        "Check a file of experiments, see what it does to users, and act on what runs.",
    ),
    "simulate": Subcommand(
        "models.commands.simulate:simulate",
        "Write a simulated reading log in the format of MIND, with a popularity process.",
    ),
    "train": Subcommand("models.commands.train:train", "Train students."),
    "encoders": Subcommand("models.commands.encoders:encoders", "List and build encoders."),
    "people": Subcommand("models.commands.people:people", "The readers that the project wrote."),
    "adapters": Subcommand(
        "models.commands.adapters:adapters",
        "Load adapters into an engine that runs, and unload them.",
    ),
    "students": Subcommand(
        "models.commands.students:students", "List, build, seal, verify and promote students."
    ),
}


app = typer.Typer(
    name="interests",
    cls=lazy_group(SUBCOMMANDS),
    help="News candidates from a user's cross-domain signals, by queries that a student writes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _say_version(context: typer.Context, asked: bool) -> None:
    """Print the installed version and end; not while a shell asks how the line may go on."""
    if asked and not context.resilient_parsing:
        from importlib.metadata import version

        typer.echo(f"interests {version('interests')}")
        raise typer.Exit


@app.callback()
def interests(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """News candidates from a user's cross-domain signals, by queries that a student writes."""


def main() -> None:
    """Run the command; what the user can mend is one line on stderr and exit code 2."""
    # Looking for plugins, pydantic reads the metadata of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        app()
    except InterestsError as error:
        typer.echo(error.line(), err=True)
        sys.exit(2)
