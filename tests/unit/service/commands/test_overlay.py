"""`interests experiments pause` and its like: what is refused before Redis is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.commands import experiments
from service.errors import ConfigurationError, InterestsError, InvalidInput, OverlayUnavailable
from tests.parts.gateway import free_port
from tests.unit.service.experiments.builders import file_of, written


@pytest.fixture(autouse=True)
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of the experiment small-10, and a Redis that is away."""
    path = file_of(tmp_path, written())
    monkeypatch.setenv("INTERESTS_EXPERIMENTS_FILE", str(path))
    monkeypatch.setenv("INTERESTS_REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    monkeypatch.chdir(tmp_path)
    return path


def run(*words: str) -> str:
    """Run a command; our own errors come out as they are."""
    result = CliRunner().invoke(experiments.app, list(words))
    if isinstance(result.exception, InterestsError):
        raise result.exception
    return result.stderr


def refused(*words: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        run(*words)
    return error.value


@pytest.mark.parametrize("act", ["pause", "resume", "ramp", "stop"])
def test_an_unknown_key_is_told_with_those_of_the_file(act: str, file: Path) -> None:
    more = ["--traffic", "5%"] if act == "ramp" else []
    error = refused(act, "smal-10", "--why", "errors", *more)
    assert error.field == "smal-10"
    assert str(error) == (f"is no experiment of {file}; did you mean small-10? There are: small-10")


@pytest.mark.parametrize("act", ["pause", "resume", "ramp", "stop"])
def test_a_reason_is_asked_for(act: str) -> None:
    assert "--why" in run(act, "small-10", *(["--traffic", "5%"] if act == "ramp" else []))


@pytest.mark.parametrize("traffic", ["101%", "5", "100.01%", "-1%", "", "all"])
def test_a_share_is_from_0_to_100_per_cent_with_its_sign(traffic: str) -> None:
    for act in ("ramp", "resume"):
        error = refused(act, "small-10", "--why", "errors", "--traffic", traffic)
        assert error.field == "--traffic"
        assert "0% to 100%" in str(error)


def test_nobody_goes_by_the_name_of_the_watcher() -> None:
    assert refused("stop", "small-10", "--why", "errors", "--by", "watcher").field == "--by"


def test_without_redis_it_says_so_and_what_to_do() -> None:
    with pytest.raises(OverlayUnavailable) as error:
        run("pause", "small-10", "--why", "errors")
    assert "start Redis" in error.value.line()


def test_without_a_file_it_says_which_setting_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTERESTS_EXPERIMENTS_FILE")
    with pytest.raises(ConfigurationError, match="INTERESTS_EXPERIMENTS_FILE is not set"):
        run("pause", "small-10", "--why", "errors")


@pytest.mark.parametrize("text", ["layers: [{salt: 1, experiments: [{key: small-10}]}]", "a: ["])
def test_a_file_that_cannot_be_used_does_not_keep_from_pausing(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(OverlayUnavailable):  # it got as far as to ask Redis
        run("pause", "small-10", "--why", "errors")


@pytest.mark.parametrize("text", ["layers: 7", "layers: [7, {experiments: {}}]", ""])
def test_a_file_without_experiments_has_no_such_key(file: Path, text: str) -> None:
    file.write_text(text)
    assert str(refused("pause", "small-10", "--why", "errors")).endswith("There are: none")
