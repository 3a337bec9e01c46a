"""A group of commands imports those that it only knows by their place when they are called."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from service.commands.lazy import Subcommand, lazy_group


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """A group with a command of its own, one of a package that is there, one of none."""
    (tmp_path / "elsewhere_for_lazy.py").write_text(
        'def far(word: str) -> None:\n    "Say it."\n    print(word)\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "elsewhere_for_lazy", raising=False)
    group = lazy_group(
        {
            "far": Subcommand("elsewhere_for_lazy:far", "Say it."),
            "missing": Subcommand("package_that_is_not_there:any", "Never listed."),
        }
    )
    app = typer.Typer(cls=group, no_args_is_help=True)
    app.callback()(lambda: None)
    app.command()(near)
    return app


def near() -> None:
    """Say near."""
    typer.echo("near")


def test_a_command_elsewhere_is_listed_without_being_imported(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert "far" in shown.output
    assert "near" in shown.output
    assert "missing" not in shown.output
    assert "elsewhere_for_lazy" not in sys.modules


def test_a_command_elsewhere_runs_beside_the_groups_own(app: typer.Typer) -> None:
    assert CliRunner().invoke(app, ["far", "word"]).output == "word\n"
    assert CliRunner().invoke(app, ["near"]).output == "near\n"


def test_a_command_of_a_package_that_is_not_installed_is_no_command(app: typer.Typer) -> None:
    asked = CliRunner().invoke(app, ["missing"])
    assert asked.exit_code == 2
    assert "No such command 'missing'" in asked.output
