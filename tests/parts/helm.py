"""The real Helm on the project's chart: what it renders, what it refuses, and what Kubernetes says.

Objects are checked against the schemas of Kubernetes (strict: no unknown field), those of other
projects against the schemas in `tests/data/helm`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from tests.deps_chart import HELMS, ROOT, SCHEMAS
from tests.parts.require import Missing, missing_part

CHART = ROOT / "helm" / "interests"
CASES = sorted((CHART / "ci").glob("*.yaml"))
"""Sets of values that together use every part of the chart."""
KUBERNETES = ("1.27.0", "1.37.0")
"""The oldest and the newest version that objects are checked against."""
RELEASE, NAMESPACE = "interests", "news"
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Objects:
    """What a chart renders."""

    all: tuple[dict[str, Any], ...]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Those of a kind."""
        return [one for one in self.all if one["kind"] == kind]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The one of this kind and name."""
        found = [one for one in self.of(kind) if one["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} of {kind} {name}"
        return found[0]

    def pods(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every pod's spec, with the name of what makes it."""
        for one in self.all:
            if one["kind"] == "Pod":
                yield one["metadata"]["name"], one["spec"]
            elif "template" in one.get("spec", {}):
                yield one["metadata"]["name"], one["spec"]["template"]["spec"]

    def settings(self) -> dict[str, Any]:
        """The gateway's settings file."""
        return self._held("settings.yaml")

    def students(self) -> dict[str, Any]:
        """The gateway's file of students."""
        return self._held("students.yaml")

    def _held(self, file: str) -> dict[str, Any]:
        """A file of a config map."""
        [config] = [one for one in self.of("ConfigMap") if file in one["data"]]
        found: dict[str, Any] = yaml.safe_load(config["data"][file])
        return found

    def gateway(self) -> dict[str, Any]:
        """The gateways' pod."""
        [deployment] = [
            one for one in self.of("Deployment") if one["metadata"]["name"].endswith("-gateway")
        ]
        found: dict[str, Any] = deployment["spec"]["template"]["spec"]
        return found

    def engine(self, student: str = "main") -> dict[str, Any]:
        """A student's engines' pod."""
        [engines] = [
            one
            for one in self.of("StatefulSet")
            if one["metadata"]["name"].endswith(f"-engine-{student}")
        ]
        found: dict[str, Any] = engines["spec"]["template"]["spec"]
        return found


def render(
    *values: Values | Path,
    name: str = RELEASE,
    namespace: str = NAMESPACE,
    helm: Path | None = None,
) -> Objects:
    """What the chart makes of these values. Fails the test where it refuses them."""
    whole: dict[str, Any] = {}
    for some in values:
        held = yaml.safe_load(some.read_text()) if isinstance(some, Path) else some
        whole = _merged(whole, held)
    rendered = _rendered(json.dumps(whole), name, namespace, helm or newest_helm())
    return Objects(tuple(one for one in yaml.safe_load_all(rendered) if one))


def refusal(*values: Values, helm: Path | None = None) -> str:
    """Why the chart refuses these values. Fails the test where it takes them."""
    whole: dict[str, Any] = {}
    for some in values:
        whole = _merged(whole, some)
    done = _template(json.dumps(whole), RELEASE, NAMESPACE, helm or newest_helm())
    assert done.returncode != 0, "it was taken"
    return done.stderr


def all_helms() -> list[Path]:
    """Every Helm that the chart is tested with."""
    return [_require(helm.require) for helm in HELMS]


def newest_helm() -> Path:
    """The newest of them."""
    return _require(HELMS[-1].require)


def run(helm: Path, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """A command of Helm, without any configuration of the machine's."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("HELM", "KUBE"))
    }
    return subprocess.run(
        [str(helm), *arguments],
        env={**kept, "KUBECONFIG": os.devnull, "HELM_NO_PLUGINS": "1"},
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def faults(one: Mapping[str, Any], kubernetes: str) -> list[str]:
    """What is wrong with an object, by its schema."""
    name = f"{one['kind']} {one['metadata']['name']}"
    validator = _validator(one["apiVersion"], one["kind"], kubernetes)
    return [
        f"{name}: {'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in validator.iter_errors(one)
    ]


@cache
def _validator(api: str, kind: str, kubernetes: str) -> Any:
    own = ROOT / "tests" / "data" / "helm" / f"{kind}.json"
    if own.is_file():
        return jsonschema_rs.validator_for(json.loads(own.read_text()))
    group, _, version = api.rpartition("/")
    parts = (kind.lower(), *([group.removesuffix(".k8s.io")] if group else []), version)
    schema = _schema("-".join(parts) + ".json", kubernetes)
    return jsonschema_rs.validator_for(
        schema,
        base_uri="json-schema:///",
        retriever=lambda uri: _schema(uri.rpartition("/")[2], kubernetes),
    )


@cache
def _schema(name: str, kubernetes: str) -> Any:
    folder = f"kubernetes_validate/kubernetes-json-schema/v{kubernetes}-local-strict"
    with zipfile.ZipFile(_require(SCHEMAS.require)) as schemas:
        return json.loads(schemas.read(f"{folder}/{name}"))


@cache
def _rendered(values: str, name: str, namespace: str, helm: Path) -> str:
    done = _template(values, name, namespace, helm)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _template(
    values: str, name: str, namespace: str, helm: Path
) -> subprocess.CompletedProcess[str]:
    command = ("template", name, str(CHART), "--namespace", namespace, "--values", "-")
    return run(helm, *command, given=values)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """As Helm merges sets of values."""
    whole = dict(under)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(whole.get(key), Mapping)
        whole[key] = _merged(whole[key], value) if both else value
    return whole


def _require(part: Any) -> Path:
    try:
        path: Path = part()
    except Missing as error:
        name, _, remedy = str(error).partition(": ")
        missing_part(re.sub(r"-[\d.]+$", "", name), remedy)
    return path
