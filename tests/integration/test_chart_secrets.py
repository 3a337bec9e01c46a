"""A secret that the cluster lacks is said before anything is installed.

The cluster is a server that answers what Helm asks of one to render a chart: which kinds there are,
and objects by name.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.test_chart_refusals import WELL
from tests.parts.helm import CHART, NAMESPACE, all_helms, run

NEEDED: dict[str, list[str]] = {
    "redis-login": ["password"],
    "callers": ["backend"],
    "engines": ["api-key"],
    "redis-certificates": ["ca.crt"],
    "engine-certificates": ["ca.crt", "tls.crt", "tls.key"],
}
VALUES: dict[str, Any] = {
    **WELL,
    "redis": {
        "url": "rediss://redis.data",
        "passwordSecret": {"name": "redis-login"},
        "tls": {"secret": "redis-certificates"},
    },
    "gateway": {"keys": {"backend": {"secret": {"name": "callers", "key": "backend"}}}},
    "students": {
        "main": {
            **WELL["students"]["main"],
            "apiKeySecret": {"name": "engines"},
            "tls": {"secret": "engine-certificates"},
        }
    },
}
KINDS: dict[str, dict[str, str]] = {
    "v1": {
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "configmaps": "ConfigMap",
        "services": "Service",
        "pods": "Pod",
    },
    "apps/v1": {"deployments": "Deployment", "statefulsets": "StatefulSet"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
"""The cluster's kinds of objects, by group and version."""


def kinds(version: str) -> dict[str, Any]:
    """The kinds of a group, as a cluster lists them."""
    listed = [
        {"name": plural, "kind": kind, "namespaced": True, "singularName": "", "verbs": ["get"]}
        for plural, kind in KINDS[version].items()
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": listed}


def groups() -> dict[str, Any]:
    """The groups that have names, as a cluster lists them."""
    listed = []
    for version in KINDS:
        name, _, number = version.rpartition("/")
        if name:
            known = {"groupVersion": version, "version": number}
            listed.append({"name": name, "versions": [known], "preferredVersion": known})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def answer(path: str, secrets: Mapping[str, list[str]]) -> dict[str, Any] | None:
    """What a cluster with these secrets says; None: there is no such thing."""
    *_, kind, name = path.split("/") if path.count("/") >= 2 else ("", "", "")
    fixed: dict[str, dict[str, Any]] = {
        "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": kinds("v1"),
        "/apis": groups(),
        **{f"/apis/{version}": kinds(version) for version in KINDS if "/" in version},
    }
    if path in fixed:
        return fixed[path]
    metadata = {"name": name, "namespace": NAMESPACE}
    if (kind, name) == ("serviceaccounts", "default"):
        return {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": metadata}
    if kind == "secrets" and name in secrets:
        data = {key: base64.b64encode(b"x").decode() for key in secrets[name]}
        return {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "data": data}
    return None


@contextmanager
def cluster(secrets: Mapping[str, list[str]], folder: Path) -> Iterator[Path]:
    """A cluster that has these secrets, with these keys; the file by which Helm finds it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answer(self.path.partition("?")[0], secrets)
            status = {"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": 404}
            body = json.dumps(found or status).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    config = folder / "kubeconfig"
    here = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
    config.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [here],
                "contexts": [context],
                "users": [{"name": "me", "user": {}}],
                "current-context": "here",
            }
        )
    )
    try:
        yield config
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def rendered(secrets: Mapping[str, list[str]], folder: Path, helm: Path) -> tuple[int, str]:
    """Exit status and errors of rendering the chart for a cluster with these secrets."""
    values = folder / "values.yaml"
    values.write_text(yaml.safe_dump(VALUES))
    with cluster(secrets, folder) as config:
        command = ("template", "interests", str(CHART), "--namespace", NAMESPACE)
        more = ("--values", str(values), "--dry-run=server", "--kubeconfig", str(config))
        more += ("--disable-openapi-validation",)
        done = run(helm, *command, *more)
    return done.returncode, done.stderr


def test_a_cluster_that_has_all_secrets_is_fine(tmp_path: Path) -> None:
    for helm in all_helms():
        status, said = rendered(NEEDED, tmp_path, helm)
        assert status == 0, said


@pytest.mark.parametrize("missing", NEEDED)
def test_a_secret_that_is_missing_is_named_with_the_command_that_makes_it(
    missing: str, tmp_path: Path
) -> None:
    has = {name: keys for name, keys in NEEDED.items() if name != missing}
    status, said = rendered(has, tmp_path, all_helms()[-1])
    assert status == 1
    assert f"names the secret {missing}, which is missing in the namespace news" in said
    files = " ".join(f"--from-file={key}=FILE" for key in NEEDED[missing])
    assert f"kubectl -n news create secret generic {missing} {files}" in said


@pytest.mark.parametrize(
    ("secret", "key"), [(secret, key) for secret, keys in NEEDED.items() for key in keys]
)
def test_a_key_that_a_secret_lacks_is_named_with_those_that_it_has(
    secret: str, key: str, tmp_path: Path
) -> None:
    left = [one for one in NEEDED[secret] if one != key] + ["other"]
    status, said = rendered({**NEEDED, secret: left}, tmp_path, all_helms()[-1])
    assert status == 1
    assert f"the secret {secret} has no key {key}, only: {', '.join(sorted(left))}" in said
