"""Settings come from environment, .env and a file; what is wrong is one line that names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from service.errors import ConfigurationError
from service.settings import Settings, load_settings


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
        ("INTERESTS_STUDENTS", "{"),
        ("INTERESTS_KEYS__A__SECRET", ""),
        ("INTERESTS_KEYS__A__SECRET", "short"),
        ("INTERESTS_KEYS__A__SECRET", " " * 9),
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


def test_a_list_with_an_empty_entry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__MANIFEST", "s/student.yaml")
    monkeypatch.setenv("INTERESTS_STUDENTS__MAIN__ENGINES", "http://a:1,,http://b:2")
    with pytest.raises(ConfigurationError, match="ENGINES: has an empty entry"):
        load_settings()


def test_a_dotenv_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"INTERESTS_PORT=\xff\n")
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read"):
        load_settings()


def test_the_log_level_is_understood_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_LOG_LEVEL", "INFO")
    assert load_settings().log_level == "info"


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


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (
            "RIGHTS",
            "interests,everything",
            "INTERESTS_KEYS__A__RIGHTS: Input should be 'interests'",
        ),
        ("NAME", "x", "INTERESTS_KEYS__A__NAME: no such setting"),
        ("SECRET_FILE", "nowhere", "INTERESTS_KEYS__A: secret_file: nowhere: No such file"),
    ],
)
def test_what_is_wrong_with_a_key_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    if name != "SECRET_FILE":
        monkeypatch.setenv("INTERESTS_KEYS__A__SECRET", "a-long-secret")
    monkeypatch.setenv(f"INTERESTS_KEYS__A__{name}", value)
    with pytest.raises(ConfigurationError, match=told):
        load_settings()


def test_a_secret_and_its_file_are_not_both_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("a-long-secret")
    monkeypatch.setenv("INTERESTS_KEYS__A__SECRET", "another-secret")
    monkeypatch.setenv("INTERESTS_KEYS__A__SECRET_FILE", str(tmp_path / "key"))
    with pytest.raises(ConfigurationError, match="secret and secret_file are both given"):
        load_settings()


def test_two_callers_do_not_share_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "AB":
        monkeypatch.setenv(f"INTERESTS_KEYS__{name}__SECRET", "a-long-secret")
    with pytest.raises(ConfigurationError, match="keys 'a' and 'b' have one secret") as raised:
        load_settings()
    assert "a-long-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("port: [\n", r"gateway\.yaml:2: not valid YAML"),
        ("a line\n", "must hold the fields"),
        ("redis_ulr: redis://a\n", r"gateway\.yaml: redis_ulr: .* did you mean redis_url\?"),
        ("port: http\n", "INTERESTS_PORT"),
        ("1: 2\n", r"gateway\.yaml: 1: no such setting"),
    ],
)
def test_a_wrong_config_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, told: str
) -> None:
    (tmp_path / "gateway.yaml").write_text(content)
    monkeypatch.setenv("INTERESTS_CONFIG", str(tmp_path / "gateway.yaml"))
    with pytest.raises(ConfigurationError, match=told) as raised:
        load_settings()
    assert "\n" not in str(raised.value)


def test_an_unknown_name_in_dotenv_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER=1\nINTERESTS_PROT=9\n")
    with pytest.raises(ConfigurationError, match=r"INTERESTS_PROT: .* mean INTERESTS_PORT\?"):
        load_settings()


@pytest.mark.parametrize(
    "name", ["REDIS_SERVICE_HOST", "SERVICE_PORT", "REDIS_PORT", "REDIS_PORT_6379_TCP_ADDR"]
)
def test_what_kubernetes_sets_beside_a_service_is_no_setting(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"INTERESTS_{name}", "tcp://10.0.0.1:6379")
    assert load_settings().port == 8080


def test_the_example_file_holds_every_setting_with_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example = Path(__file__).parents[3] / "deploy" / "settings.example.yaml"
    monkeypatch.setenv("INTERESTS_CONFIG", str(example))
    settings = load_settings()
    assert settings.students
    assert settings.keys
    held = set(yaml.safe_load(example.read_text()))
    commented = set(re.findall(r"^# ([a-z_]+):", example.read_text(), re.MULTILINE))
    assert held | commented == set(Settings.model_fields)
    plain = load_settings_without_a_file(monkeypatch)
    for name in held - {"students", "keys", "default_student"}:
        assert getattr(settings, name) == getattr(plain, name), name


def load_settings_without_a_file(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("INTERESTS_CONFIG")
    return load_settings()
