"""Settings come from environment, .env and a file; what is wrong is one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.settings import load_settings


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_students_are_configured_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__MANIFEST", "s/student.yaml")
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__ENGINES", '["http://a:1", "http://b:2"]')
    student = load_settings().students["main"]
    assert student.manifest == Path("s/student.yaml")
    assert student.engines == ("http://a:1", "http://b:2")


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gateway.yaml").write_text("port: 9000\nhits_per_query: 20\n")
    monkeypatch.setenv("INTERESTS_CONFIG", str(tmp_path / "gateway.yaml"))
    monkeypatch.setenv("INTERESTS_PORT", "9001")
    settings = load_settings()
    assert (settings.port, settings.hits_per_query) == (9001, 20)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("INTERESTS_PORT", "http"),
        ("INTERESTS_PORT", "70000"),
        ("INTERESTS_MAX_IN_FLIGHT", "0"),
        ("INTERESTS_LOG_LEVEL", "loud"),
        ("INTERESTS_INDEX_NAME", "UPPER"),
    ],
)
def test_a_wrong_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=variable):
        load_settings()


def test_a_default_student_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="default_student"):
        load_settings(default_student="other")


def test_several_students_need_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_STUDENTS__A__MANIFEST", "a.yaml")
    monkeypatch.setenv("INTERESTS_STUDENTS__B__MANIFEST", "b.yaml")
    with pytest.raises(ConfigurationError, match="say which one serves"):
        load_settings()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_REDIS_PASSWORD", "hunter2")
    assert "hunter2" not in repr(load_settings())


def test_a_missing_config_file_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_CONFIG", "nowhere.yaml")
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        load_settings()
