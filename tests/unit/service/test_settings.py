"""Settings come from environment, .env and a file; what is wrong is one line that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.errors import ConfigurationError
from service.languages import LANGUAGES
from service.settings import Settings, load_settings
from service.settings_groups import StudentSettings


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
        ("INTERESTS_OPERATIONS_PORT", "8080"),
        ("INTERESTS_OPERATIONS_PORT", "0"),
        ("INTERESTS_MAX_IN_FLIGHT", "0"),
        ("INTERESTS_LOG_LEVEL", "loud"),
        ("INTERESTS_INDEX_NAME", "UPPER"),
        ("INTERESTS_STUDENTS", "{"),
        ("INTERESTS_KEYS__A__SECRET", ""),
        ("INTERESTS_KEYS__A__SECRET", "short"),
        ("INTERESTS_KEYS__A__SECRET", " " * 9),
        ("INTERESTS_KEYS__A__SECRET", "a-long-secret\nshort"),
        ("INTERESTS_SECRET", ""),
        ("INTERESTS_REDDIS_URL", "redis://a"),
        ("INTERESTS_REDIS_TLS", "yes"),
    ],
)
def test_a_wrong_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as raised:
        load_settings()
    assert variable in str(raised.value)
    assert "\n" not in str(raised.value)


def test_several_students_need_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_STUDENTS__A__MANIFEST", "a.yaml")
    monkeypatch.setenv("INTERESTS_STUDENTS__B__MANIFEST", "b.yaml")
    with pytest.raises(ConfigurationError, match="say which student serves, one of: a, b"):
        load_settings()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_REDIS_PASSWORD", "hunter2")
    assert "hunter2" not in repr(load_settings())


def test_a_missing_config_file_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_CONFIG", "nowhere.yaml")
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        load_settings()


def test_lists_are_said_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__MANIFEST", "s/student.yaml")
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__ENGINES", "http://a:1, http://b:2")
    monkeypatch.setenv("INTERESTS_KEYS__BACKEND__SECRET", "a-long-secret")
    monkeypatch.setenv("INTERESTS_KEYS__BACKEND__RIGHTS", "interests,metrics")
    settings = load_settings()
    assert settings.students["main"].engines == ("http://a:1", "http://b:2")
    assert settings.keys["backend"].rights == ("interests", "metrics")


def test_groups_may_be_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_STUDENTS", '{"main": {"manifest": "s/student.yaml"}}')
    monkeypatch.setenv("INTERESTS_REDIS_TLS", '{"verify": false}')
    settings = load_settings()
    assert settings.students["main"].manifest == Path("s/student.yaml")
    assert not settings.redis_tls.verify


def test_a_group_as_json_and_variables_within_it_are_put_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTERESTS_STUDENTS", '{"main": {"manifest": "s/student.yaml"}}')
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__ENGINES", "http://a:1")
    monkeypatch.setenv("INTERESTS_REDIS_TLS", '{"verify": false}')
    monkeypatch.setenv("INTERESTS_REDIS_TLS__CA_FILE", "ca.pem")
    settings = load_settings()
    assert settings.students["main"].engines == ("http://a:1",)
    assert settings.redis_tls.ca_file == Path("ca.pem")


def test_students_are_in_a_file_or_in_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "students.yaml"
    file.write_text("a file of settings reads no other file but those of secrets")
    monkeypatch.setenv("INTERESTS_STUDENTS_FILE", str(file))
    settings = load_settings()
    assert (settings.students_file, settings.students) == (file, {})
    monkeypatch.setenv("INTERESTS_DEFAULT_STUDENT", "main")
    told = "INTERESTS_STUDENTS_FILE: default_student is given too: the file says it"
    with pytest.raises(ConfigurationError, match=told):
        load_settings()
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__MANIFEST", "s/student.yaml")
    told = "INTERESTS_STUDENTS_FILE: students is given too: the file says it, so give one of the"
    with pytest.raises(ConfigurationError, match=told):
        load_settings()


def test_a_list_with_an_empty_entry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__MANIFEST", "s/student.yaml")
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__ENGINES", "http://a:1,,http://b:2")
    with pytest.raises(ConfigurationError, match="ENGINES: has an empty entry"):
        load_settings()


def test_a_dotenv_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"INTERESTS_PORT=\xff\n")
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read"):
        load_settings()


def test_a_language_is_understood_in_capitals_and_an_unknown_one_told_which_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTERESTS_INDEX_LANGUAGE", "German")
    assert load_settings().index_language == "german"
    for unknown in ("klingon", "de", "dutch", ""):
        monkeypatch.setenv("INTERESTS_INDEX_LANGUAGE", unknown)
        with pytest.raises(ConfigurationError) as raised:
            load_settings()
        assert str(raised.value).startswith("INTERESTS_INDEX_LANGUAGE: ")
        assert all(f"'{language}'" in str(raised.value) for language in LANGUAGES)


def test_the_log_level_is_understood_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_LOG_LEVEL", "INFO")
    assert load_settings().log_level == "info"


@pytest.mark.parametrize(
    ("variable", "read"),
    [
        ("INTERESTS_ENCODER__MANIFEST", lambda settings: settings.encoder.manifest),
        ("INTERESTS_REDIS_TLS__CA_FILE", lambda settings: settings.redis_tls.ca_file),
        ("INTERESTS_SECRET_FILE", lambda settings: settings.secret_file),
    ],
)
def test_a_path_that_is_empty_is_unset_and_not_this_folder(
    monkeypatch: pytest.MonkeyPatch, variable: str, read: Callable[[Settings], Path | None]
) -> None:
    monkeypatch.setenv(variable, "")
    assert read(load_settings()) is None


def test_secrets_are_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("key", "secret", "redis", "opensearch", "engine"):
        (tmp_path / name).write_text(f"{name} of eight letters\n")
    monkeypatch.setenv("INTERESTS_KEYS__A__SECRET_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("INTERESTS_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("INTERESTS_REDIS_PASSWORD_FILE", str(tmp_path / "redis"))
    monkeypatch.setenv("INTERESTS_OPENSEARCH_PASSWORD_FILE", str(tmp_path / "opensearch"))
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__MANIFEST", "s/student.yaml")
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__API_KEY_FILE", str(tmp_path / "engine"))
    settings = load_settings()
    read = [
        settings.keys["a"].secret,
        settings.secret,
        settings.redis_password,
        settings.opensearch_password,
        settings.students["main"].api_key,
    ]
    names = ("key", "secret", "redis", "opensearch", "engine")
    assert [secret.get_secret_value() for secret in read if secret] == [
        f"{name} of eight letters" for name in names
    ]


def test_two_callers_do_not_share_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "AB":
        monkeypatch.setenv(f"INTERESTS_KEYS__{name}__SECRET", "a-long-secret")
    with pytest.raises(ConfigurationError, match="KEYS__B: has the secret of 'a'") as raised:
        load_settings()
    assert "a-long-secret" not in str(raised.value)
    monkeypatch.setenv("INTERESTS_KEYS__A__SECRET", "another-secret\na-long-secret")
    with pytest.raises(ConfigurationError, match="KEYS__B: has the secret of 'a'"):
        load_settings()


@pytest.mark.parametrize(
    "text", ["", "# port: 1\n", "---\n", "keys:\nstudents:\n  # main:\nredis_tls:\n"]
)
def test_a_file_of_comments_and_empty_groups_holds_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    plain = load_settings()
    (tmp_path / "gateway.yaml").write_text(text)
    monkeypatch.setenv("INTERESTS_CONFIG", "gateway.yaml")
    assert load_settings() == plain


def test_the_file_may_be_named_in_dotenv(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("port: 9000\n")
    (tmp_path / ".env").write_text("INTERESTS_CONFIG=gateway.yaml\n")
    assert load_settings().port == 9000


@pytest.mark.parametrize("first", [0, 1])
def test_a_variable_within_a_group_wins_over_its_json_in_any_order(
    monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    given = [
        ("INTERESTS_STUDENTS__A", '{"manifest": "m", "window": 1}'),
        ("INTERESTS_STUDENTS__A__WINDOW", "2"),
    ]
    for name, value in (given[first], given[1 - first]):
        monkeypatch.setenv(name, value)
    student = load_settings().students["a"]
    assert (student.manifest, student.window) == (Path("m"), 2)


def numbers() -> list[tuple[tuple[str, ...], FieldInfo]]:
    """Every setting that is a number, by its keys."""
    groups: list[tuple[tuple[str, ...], type[BaseModel]]] = [
        ((), Settings),
        (("students", "a"), StudentSettings),
    ]
    return [
        ((*keys, name), field)
        for keys, model in groups
        for name, field in model.model_fields.items()
        if field.annotation in (int, float, int | None)
    ]


@pytest.mark.parametrize(("keys", "field"), [pytest.param(*it, id=it[0][-1]) for it in numbers()])
def test_every_number_is_bounded_and_finite(
    monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...], field: FieldInfo
) -> None:
    bounds = [one for one in field.metadata if isinstance(one, Ge | Le)]
    assert {type(one) for one in bounds} == {Ge, Le}
    name = "INTERESTS_" + "__".join(keys).upper()
    monkeypatch.setenv("INTERESTS_STUDENTS__A__MANIFEST", "m")
    for value in ("nan", "inf", "-inf", "1e300", "-1"):
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError, match=f"^{name}: Input should be"):
            load_settings()
    for bound in bounds:
        monkeypatch.setenv(name, str(bound.ge if isinstance(bound, Ge) else bound.le))
        load_settings()
