"""What is wrong with a setting is one line that names it as it was given, and says the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.settings import load_settings


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def in_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The error of a file that holds this."""

    def told(text: str) -> str:
        (tmp_path / "gateway.yaml").write_text(text)
        monkeypatch.setenv("INTERESTS_CONFIG", "gateway.yaml")
        return refusal()

    return told


def refusal(**options: object) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(**options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PROT", "PORT"),
        ("PORT__X", "PORT"),
        ("PORT__", "PORT"),
        ("REDIS_URL__MAIN__X", "REDIS_URL"),
        ("STUDENTS__MAIN__WINDOW__X", "STUDENTS__MAIN__WINDOW"),
        ("STUDENTS__MAIN__ENGNES", "STUDENTS__MAIN__ENGINES"),
        ("STUDNTS__MAIN__ENGINES", "STUDENTS__MAIN__ENGINES"),
        ("STUDENTS__MAIN__TSL__VERIFY", "STUDENTS__MAIN__TLS__VERIFY"),
        ("KEYS__A__SECRETS", "KEYS__A__SECRET"),
        ("REDIS_TLS__CAFILE", "REDIS_TLS__CA_FILE"),
        ("REDIS_TLS_CA_FILE", "REDIS_TLS__CA_FILE"),
    ],
)
@pytest.mark.parametrize("place", ["", ".env: "])
def test_an_unknown_variable_is_told_with_what_is_meant(
    monkeypatch: pytest.MonkeyPatch, place: str, name: str, meant: str
) -> None:
    if place:
        Path(".env").write_text(f"INTERESTS_{name}=1\n")
    else:
        monkeypatch.setenv(f"INTERESTS_{name}", "1")
    said = f"{place}INTERESTS_{name}: no such setting; did you mean INTERESTS_{meant}?"
    assert refusal() == said


@pytest.mark.parametrize(
    ("text", "name", "meant"),
    [
        ("redis_ulr: x", "redis_ulr", "redis_url"),
        ("port: {x: 1}", "port.x", "port"),
        ("students: {a: {engnes: x}}", "students.a.engnes", "students.a.engines"),
        ("students: {a: {tls: {ca_fil: x}}}", "students.a.tls.ca_fil", "students.a.tls.ca_file"),
        ("redis_tls: {verfy: true}", "redis_tls.verfy", "redis_tls.verify"),
        ("redis_tls_verify: true", "redis_tls_verify", "redis_tls.verify"),
        ("keys: {a: {right: x}}", "keys.a.right", "keys.a.rights"),
    ],
)
def test_an_unknown_key_of_the_file_is_told_with_line_and_what_is_meant(
    in_file: Callable[[str], str], text: str, name: str, meant: str
) -> None:
    told = in_file(f"# a comment\nhost: localhost\n{text}\n")
    assert told == f"gateway.yaml:3: {name}: no such setting; did you mean {meant}?"


def test_a_name_like_none_is_told_where_all_are_listed(
    monkeypatch: pytest.MonkeyPatch, in_file: Callable[[str], str]
) -> None:
    assert in_file("1: 2") == "gateway.yaml:1: 1: no such setting; `interests settings` lists them"
    monkeypatch.setenv("INTERESTS_QQ", "1")
    assert refusal() == "INTERESTS_QQ: no such setting; `interests settings` lists them"


def test_an_unknown_name_in_the_json_of_a_group_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_STUDENTS", '{"main": {"manifest": "m", "engnes": []}}')
    told = "INTERESTS_STUDENTS: main.engnes: no such setting; did you mean main.engines?"
    assert refusal() == told


WRONG = [
    ("port: http", "port", "Input should be a valid integer"),
    ("port: 70000", "port", "less than or equal to 65535"),
    ("students: {a: {manifest: m, window: 0}}", "students.a.window", "greater than or equal to 1"),
    ("students: {a: {window: 1}}", "students.a.manifest", "is missing; add it"),
    ("students: {a: {manifest: 1}}", "students.a.manifest", "must be the path of a file"),
    ("redis_tls: {verify: perhaps}", "redis_tls.verify", "valid boolean"),
    ("keys: {a: {secret: short}}", "keys.a.secret", "at least 8 characters"),
    ("keys: {a: {secret: eight-or-more, rights: [all]}}", "keys.a.rights", "Input should be"),
    ("keys: {a: {secret: one-and-two}, b: {secret: one-and-two}}", "keys.b", "the secret of 'a'"),
    ("keys: {1: {secret: eight-or-more}}", "keys.1", "valid string"),
    ("default_student: b", "default_student", "no student is called 'b'"),
    ("own_weight: .nan", "own_weight", "finite number"),
]


@pytest.mark.parametrize(("text", "name", "told"), WRONG)
def test_a_wrong_value_in_the_file_is_told_by_file_line_and_key(
    in_file: Callable[[str], str], text: str, name: str, told: str
) -> None:
    said = in_file(f"# a comment\nhost: localhost\n\n{text}\n")
    assert said.startswith(f"gateway.yaml:4: {name}: ")
    assert told in said


def test_the_line_is_that_of_the_value_in_a_file_of_many_lines(
    in_file: Callable[[str], str],
) -> None:
    keys = "keys:\n  a:\n    secret: eight-or-more\n    rights:\n      - interests\n      - all\n"
    assert in_file(keys).startswith("gateway.yaml:6: keys.a.rights: ")


@pytest.mark.parametrize(
    ("variables", "name", "told"),
    [
        ({"PORT": "http"}, "PORT", "valid integer"),
        ({"STUDENTS__A__WINDOW": "1"}, "STUDENTS__A__MANIFEST", "is missing; add it"),
        ({"STUDENTS": '{"a": {"manifest": "m", "window": 0}}'}, "STUDENTS: a.window", "equal to 1"),
        ({"STUDENTS__A": '{"manifest": "m", "window": 0}'}, "STUDENTS__A: window", "equal to 1"),
        ({"STUDENTS__A__MANIFEST": "m", "STUDENTS__A__WINDOW": "0"}, "STUDENTS__A__WINDOW", "to 1"),
        ({"REDIS_TLS__VERIFY": "perhaps"}, "REDIS_TLS__VERIFY", "valid boolean"),
        ({"DEFAULT_STUDENT": "b"}, "DEFAULT_STUDENT", "no student is called 'b'"),
        ({"STUDENTS": '{"a": {}, "a": {}}'}, "STUDENTS", "a is given twice in one JSON object"),
    ],
)
@pytest.mark.parametrize("place", ["", ".env: "])
def test_a_wrong_variable_is_told_by_its_name_whatever_the_file_holds(
    in_file: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    variables: dict[str, str],
    name: str,
    told: str,
) -> None:
    if place:
        lines = [f"INTERESTS_{name}='{value}'\n" for name, value in variables.items()]
        Path(".env").write_text("".join(lines))
    else:
        for key, value in variables.items():
            monkeypatch.setenv(f"INTERESTS_{key}", value)
    said = in_file("port: 9000\nredis_tls: {verify: true}\n")
    assert said.startswith(f"{place}INTERESTS_{name}: ")
    assert told in said


def test_a_wrong_option_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERESTS_PORT", "9000")
    assert refusal(port=70_000).startswith("--port: Input should be less than or equal to 65535")


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
@pytest.mark.parametrize(
    "keys",
    [
        ("secret_file",),
        ("redis_password_file",),
        ("opensearch_password_file",),
        ("keys", "a", "secret_file"),
        ("students", "a", "api_key_file"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_told_by_the_name_of_its_setting(
    in_file: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    keys: tuple[str, ...],
    content: bytes | None,
) -> None:
    if content is not None:
        Path("held").write_bytes(content)
    told = {None: "No such file or directory", b"\xff": "is not text"}.get(content, "is empty")
    text = "held"
    for key in reversed(keys):
        text = f"{{{key}: {text}}}"
    assert in_file(text) == f"gateway.yaml:1: {'.'.join(keys)}: held: {told}"
    monkeypatch.delenv("INTERESTS_CONFIG")
    name = "INTERESTS_" + "__".join(keys).upper()
    monkeypatch.setenv(name, "held")
    assert refusal() == f"{name}: held: {told}"


def test_a_short_secret_is_told_by_the_setting_that_names_its_file(
    in_file: Callable[[str], str],
) -> None:
    Path("held").write_text("short\n")
    assert in_file("secret_file: held").startswith("gateway.yaml:1: secret_file: must have")
    assert in_file("keys: {a: {secret_file: held}}").startswith("gateway.yaml:1: keys.a.secret_f")


def test_a_secret_and_its_file_are_not_both_taken(
    in_file: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERESTS_SECRET", "a-long-secret")
    assert in_file("secret_file: held") == (
        "gateway.yaml:1: secret_file: secret is given too: give one of the two"
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("KEYS__SECRET", "", "a name is missing before it: INTERESTS_KEYS__<NAME>__SECRET"),
        ("KEYS__SECRET", "eight-or-more", "a name is missing before it: INTERESTS_KEYS__<NAME>_"),
        ("KEYS____SECRET", "eight-or-more", "a name is missing: INTERESTS_KEYS__<NAME>__SECRET"),
        ("STUDENTS__MANIFEST", "m", "a name is missing before it: INTERESTS_STUDENTS__<NAME>__MAN"),
        ("KEYS", "", "holds several settings and takes no other value: set each by its name, such"),
        ("KEYS__A", "", "such as INTERESTS_KEYS__A__SECRET"),
        ("STUDENTS", "{", "such as INTERESTS_STUDENTS__<NAME>__MANIFEST"),
        ("REDIS_TLS", "yes", "such as INTERESTS_REDIS_TLS__CA_FILE"),
        ("STUDENTS__A__TLS", "[]", "such as INTERESTS_STUDENTS__A__TLS__CA_FILE"),
        ("STUDENTS__B__ENGINES", '["http://a:1"', "separate the entries by commas alone"),
    ],
)
def test_a_group_given_as_one_value_is_told_how_it_is_given(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv("INTERESTS_STUDENTS__B__MANIFEST", "m")
    monkeypatch.setenv(f"INTERESTS_{name}", value)
    said = refusal()
    assert said.startswith(f"INTERESTS_{name}: ")
    assert told in said
    assert "JSON" not in said or "ENGINES" in name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("keys: {secret: eight-or-more}", "keys.secret: a name is missing before it: keys.<NAME>."),
        ("keys: 5", "keys: holds several settings and takes no other value"),
        ("redis_tls: [a]", "such as redis_tls.ca_file"),
    ],
)
def test_a_group_of_the_file_given_as_one_value_is_told_how_it_is_given(
    in_file: Callable[[str], str], text: str, told: str
) -> None:
    said = in_file(text)
    assert said.startswith("gateway.yaml:1: ")
    assert told in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('"a\\nb": 1\n', "gateway.yaml:1: 'a\\nb': no such setting"),
        ('"a\\nb": 1\n"a\\nb": 2\n', "gateway.yaml:2: 'a\\nb' is given twice"),
        ("port: [\n", r"gateway.yaml:2: not valid YAML: "),
        ("a line\n", "gateway.yaml: must hold the fields of a gateway's settings"),
        ("- port\n", "gateway.yaml: must hold the fields of a gateway's settings"),
        ("port: 1\nhost: a\nport: 2\n", "gateway.yaml:3: port is given twice, first in line 1: "),
        ("keys:\n  a: {}\n  a: {}\n", "gateway.yaml:3: a is given twice, first in line 2: keep"),
    ],
)
def test_a_file_that_holds_no_settings_is_told(
    in_file: Callable[[str], str], text: str, told: str
) -> None:
    assert in_file(text).startswith(told)


LINKS = {
    "SERVICE_HOST": "10.0.0.1",
    "SERVICE_PORT": "8080",
    "SERVICE_PORT_HTTP": "8080",
    "PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "PORT_8080_TCP_PROTO": "tcp",
    "PORT_8080_TCP_PORT": "8080",
    "PORT_8080_TCP_ADDR": "10.0.0.1",
}
"""What Kubernetes sets beside a Service; and `PORT`, with the value of `PORT_8080_TCP`."""


def set_links(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    for name, value in LINKS.items():
        monkeypatch.setenv(f"INTERESTS_{service}{name}", value)


@pytest.mark.parametrize("url", ["tcp://10.0.0.1:8080", "udp://10.0.0.1:8080", "tcp://[fd00::1]:1"])
def test_a_port_from_kubernetes_is_told_with_both_remedies(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    set_links(monkeypatch, "")
    monkeypatch.setenv("INTERESTS_PORT", url)
    said = refusal()
    assert said.startswith(f"INTERESTS_PORT: {url} was set by Kubernetes for a Service called")
    assert "`enableServiceLinks: false` in the pod's spec" in said
    assert "give the Service another name" in said


def test_the_operations_port_from_kubernetes_names_its_own_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTERESTS_OPERATIONS_PORT", "tcp://10.0.0.1:9090")
    assert "a Service called `interests-operations`: set" in refusal()


@pytest.mark.parametrize("service", ["", "REDIS_"])
def test_what_else_kubernetes_sets_beside_a_service_is_no_setting(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    set_links(monkeypatch, service)
    monkeypatch.setenv("INTERESTS_REDIS_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("INTERESTS_REDIS_PORT", "tcp://[fd00::1]:6379")
    monkeypatch.setenv("INTERESTS_PORT", "9000")
    assert load_settings().port == 9000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_PORT", "6380"),
        ("SERVICE_PORT", "high"),
        ("SERVICE_HOSTS", "10.0.0.1"),
        ("PORT_8080_TCP", "yes"),
        ("PORTS_8080_TCP", "tcp://10.0.0.1:8080"),
        ("OTHER_SERVICE_PORT", "8080"),
    ],
)
def test_a_name_or_value_that_kubernetes_does_not_set_is_refused_beside_those_that_it_does(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    set_links(monkeypatch, "")
    set_links(monkeypatch, "REDIS_")
    monkeypatch.setenv(f"INTERESTS_{name}", value)
    assert refusal().startswith(f"INTERESTS_{name}: no such setting")


def test_a_name_like_a_service_link_is_refused_where_there_is_no_such_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTERESTS_SERVICE_PORT", "8080")
    assert refusal().startswith("INTERESTS_SERVICE_PORT: no such setting")
