"""deploy/compose.yaml and what it mounts: valid, hardened, and in step with settings and images.

tests/data/compose-spec.json is the published schema, taken as it is from the Go module
github.com/compose-spec/compose-go/v2 v2.16.2 (schema/compose-spec.json, Apache-2.0).
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import yaml

from service.settings import load_settings
from tests.parts.dockerfile import ROOT, Stage, build_context, read_dockerfile
from tests.unit.deploy.test_dockerfile import EXACT, settings_of_the_image

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
STAGES = read_dockerfile((ROOT / "Dockerfile").read_text()).stages
SCHEMA = jsonschema_rs.validator_for(
    json.loads((ROOT / "tests" / "data" / "compose-spec.json").read_text())
)
SECRETS = "/run/secrets/"
WRITABLE_ROOT = {"opensearch"}

services = pytest.mark.parametrize("name", SERVICES)


def target_of(name: str) -> Stage | None:
    """The stage of our Dockerfile that a service runs; None where the image is another's."""
    build = SERVICES[name].get("build")
    return STAGES[build["target"]] if build else None


def mounts_of(name: str) -> dict[str, str]:
    """What is mounted in a service: its place there, and the volume or folder that it is."""
    found = (volume.split(":") for volume in SERVICES[name].get("volumes", ()))
    return {place: source for source, place, *_ in found}


def port_of(name: str) -> str:
    """The port that a service is asked at: an image of ours says it, others by their own check."""
    if stage := target_of(name):
        return stage.last("EXPOSE").value
    found = re.search(r"127\.0\.0\.1:(\d+)", " ".join(SERVICES[name]["healthcheck"]["test"]))
    return found[1] if found else "6379"


@pytest.mark.parametrize("file", ["compose.yaml", "compose.gpu.yaml"])
def test_a_file_is_one_by_the_published_schema(file: str) -> None:
    SCHEMA.validate(yaml.safe_load((DEPLOY / file).read_text()))


def test_the_schema_refuses_what_is_no_compose_file() -> None:
    assert not SCHEMA.is_valid({"services": {"gateway": {"imagee": "x"}}})


@services
def test_an_image_is_pinned_or_built_here_as_the_version_that_this_is(name: str) -> None:
    image = SERVICES[name]["image"]
    if target_of(name):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert image == f"interests-{name}:{project['version']}"
    else:
        assert EXACT.fullmatch(image.replace(":v", ":"))


@services
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is (name not in WRITABLE_ROOT)
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert "privileged" not in service
    assert not any("docker.sock" in source for source in mounts_of(name).values())


@services
def test_a_service_that_may_not_write_has_a_place_for_all_that_it_writes(name: str) -> None:
    service, stage = SERVICES[name], target_of(name)
    if service["read_only"]:
        assert any(mount.startswith("/tmp:size=") for mount in service["tmpfs"])
    for volume in (stage.last("VOLUME").words or []) if stage else []:
        assert mounts_of(name)[volume] in COMPOSE["volumes"]


@services
def test_a_service_is_watched_and_waited_for(name: str) -> None:
    assert ("healthcheck" in SERVICES[name]) is (target_of(name) is None)
    for other in SERVICES[name].get("depends_on", {}):
        assert set(SERVICES[other]["networks"]) & set(SERVICES[name]["networks"])


def test_ports_are_open_to_this_machine_alone_and_never_the_stores() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"gateway", "prometheus", "grafana"}
    for name, ports in published.items():
        for port in ports:
            assert re.fullmatch(rf"127\.0\.0\.1:\$\{{\w+:-\d+\}}:{port_of(name)}", port)
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert all(
        SERVICES[name]["networks"] == ["inside"] for name in SERVICES if name not in published
    )


@services
def test_a_secret_is_a_file_that_is_declared_and_stays_out_of_git_and_images(name: str) -> None:
    given = SERVICES[name].get("environment", {})
    for variable, value in given.items():
        if re.search(r"PASSWORD|SECRET|API_KEY", variable):
            assert value.removeprefix(SECRETS) in SERVICES[name]["secrets"], variable
    for secret in SERVICES[name].get("secrets", ()):
        assert COMPOSE["secrets"][secret]["file"] == f"./secrets/{secret}"
        assert f"{SECRETS}{secret}" in json.dumps(SERVICES[name])
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_every_volume_and_secret_that_is_declared_is_used() -> None:
    used = [source for name in SERVICES for source in mounts_of(name).values()]
    assert {source for source in used if not source.startswith("./")} == set(COMPOSE["volumes"])
    asked = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert asked == set(COMPOSE["secrets"])


def test_secrets_do_not_reach_a_build(tmp_path: Path) -> None:
    (tmp_path / "deploy" / "secrets").mkdir(parents=True)
    (tmp_path / "deploy" / "secrets" / "backend_key").touch()
    assert build_context(tmp_path, (ROOT / ".dockerignore").read_text()) == set()


def test_the_gateways_settings_are_accepted_and_lead_to_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = settings_of_the_image(tmp_path) | SERVICES["gateway"]["environment"]
    for name, value in given.items():
        if name.startswith("INTERESTS_"):
            monkeypatch.setenv(name, value.replace(SECRETS, f"{tmp_path}/"))
    for secret in COMPOSE["secrets"]:
        (tmp_path / secret).write_text(f"the {secret}\n")
    settings = load_settings()
    parts = {
        "redis": settings.redis_url,
        "opensearch": settings.opensearch_url,
        "engine": settings.students["main"].engines[0],
    }
    for name, url in parts.items():
        assert urlsplit(url).netloc == f"{name}:{port_of(name)}"
        assert name in SERVICES["gateway"]["depends_on"]
    assert settings.redis_password
    assert settings.redis_password.get_secret_value() == "the redis_password"
    assert settings.keys["backend"].secret.get_secret_value() == "the backend_key"


def test_prometheus_reads_its_file_and_asks_services_at_their_ports() -> None:
    mounted = mounts_of("prometheus")["/etc/prometheus"]
    command = SERVICES["prometheus"]["command"]
    [file] = [w.removeprefix("--config.file=") for w in command if w.startswith("--config.file=")]
    path = DEPLOY / mounted / Path(file).relative_to("/etc/prometheus")
    held = yaml.safe_load(path.read_text())
    assert held["rule_files"] == ["rules.yml"]
    asked = {target for job in held["scrape_configs"] for target in _targets(job)}
    assert asked == {*(f"{n}:{port_of(n)}" for n in ("gateway", "engine")), "127.0.0.1:9090"}


def test_grafana_finds_prometheus_and_its_dashboards_where_they_are_mounted() -> None:
    mounts = mounts_of("grafana")
    provisioning = DEPLOY / mounts["/etc/grafana/provisioning"]
    [source] = _held(provisioning, "datasources")["datasources"]
    assert source["url"] == f"http://prometheus:{port_of('prometheus')}"
    [provider] = _held(provisioning, "dashboards")["providers"]
    assert mounts[provider["options"]["path"]] == "./grafana/dashboards"


def _targets(job: dict[str, Any]) -> list[str]:
    return [target for group in job["static_configs"] for target in group["targets"]]


def _held(provisioning: Path, kind: str) -> dict[str, Any]:
    [path] = (provisioning / kind).iterdir()
    held: dict[str, Any] = yaml.safe_load(path.read_text())
    return held
