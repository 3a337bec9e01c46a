"""What the chart renders, by the real Helm and against Kubernetes' own schemas."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.parts.helm import CASES, CHART, KUBERNETES, all_helms, faults, render, run

LABEL = "app.kubernetes.io/component"
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def test_there_are_sets_of_values_enough() -> None:
    assert len(CASES) >= 8


@cases
def test_helm_finds_nothing_to_complain_of(case: Path) -> None:
    for helm in all_helms():
        done = run(helm, "lint", "--strict", str(CHART), "--values", str(case))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Fail:" not in done.stderr


@cases
@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_every_object_is_as_its_schema_says(case: Path, kubernetes: str) -> None:
    assert [fault for one in render(case).all for fault in faults(one, kubernetes)] == []


@pytest.mark.parametrize("kind", ["Deployment", "ServiceMonitor", "ScaledObject"])
def test_an_object_with_a_field_that_there_is_not_would_be_seen(kind: str) -> None:
    [first, *_] = render(CHART / "ci" / "keda.yaml").of(kind)
    assert faults(first, KUBERNETES[-1]) == []
    wrong = {**first, "spec": {**first["spec"], "replica": 1}}
    assert len(faults(wrong, KUBERNETES[-1])) == 1


@cases
def test_every_helm_renders_the_same(case: Path) -> None:
    first, *others = [render(case, helm=helm) for helm in all_helms()]
    assert all(other == first for other in others)


@cases
def test_no_two_objects_have_one_name_and_each_name_fits(case: Path) -> None:
    names = Counter((one["kind"], one["metadata"]["name"]) for one in render(case).all)
    assert max(names.values()) == 1
    assert all(len(name) <= 63 for _, name in names)


def test_the_longest_names_fit_into_labels_of_pods() -> None:
    """Kubernetes labels an engine's pod with its name and with that of its revision."""
    values = {"students": {"a-key-of-sixteen": {"model": {"build": "interests-small@9"}}}}
    trial = {"trial": {"enabled": True}, "gateway": {"replicas": 1}}
    objects = render(trial, values, {"fullnameOverride": "a-name-of-twenty-eight-chara"})
    [engines] = objects.of("StatefulSet")
    assert len(engines["metadata"]["name"]) == 52
    assert len(engines["metadata"]["name"] + "-0123456789") <= 63


@cases
def test_every_pod_meets_the_security_standard_restricted(case: Path) -> None:
    for name, pod in render(case).pods():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"]["type"] == "RuntimeDefault", name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        for container in containers(pod):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["capabilities"]["drop"] == ["ALL"], name
            assert own["readOnlyRootFilesystem"] is True, name
            assert not {"privileged", "runAsUser", "procMount"} & own.keys(), name


@cases
def test_no_pod_is_told_of_services_or_given_a_token(case: Path) -> None:
    """A Service called `interests` would set INTERESTS_PORT to a URL."""
    for name, pod in render(case).pods():
        assert pod["enableServiceLinks"] is False, name
        assert pod["automountServiceAccountToken"] is False, name


@cases
def test_every_container_says_what_it_needs(case: Path) -> None:
    for name, pod in render(case).pods():
        for container in containers(pod):
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name


@cases
def test_every_mount_has_its_volume_and_every_volume_is_mounted(case: Path) -> None:
    for name, pod in render(case).pods():
        there = [volume["name"] for volume in pod["volumes"]]
        mounted = {
            mount["name"] for container in containers(pod) for mount in container["volumeMounts"]
        }
        assert mounted == set(there), name
        assert len(there) == len(set(there)), name


@cases
def test_every_file_that_the_settings_name_is_mounted(case: Path) -> None:
    objects = render(case)
    [gateway] = objects.gateway()["containers"]
    mounts = {mount["mountPath"] for mount in gateway["volumeMounts"]}
    said = [*strings(objects.settings()), *strings(objects.students())]
    paths = [path for path in said if path.startswith("/") and ":" not in path]
    assert paths
    for path in paths:
        assert any(path == mount or path.startswith(f"{mount}/") for mount in mounts), path


@cases
def test_every_service_monitor_and_policy_finds_pods(case: Path) -> None:
    objects = render(case)
    labels = [
        one["spec"]["template"]["metadata"]["labels"]
        for kind in ("Deployment", "StatefulSet")
        for one in objects.of(kind)
    ]
    services = [one["metadata"]["labels"] for one in objects.of("Service")]
    for selector, among in [
        *(
            (one["spec"]["selector"]["matchLabels"], services)
            for one in objects.of("ServiceMonitor")
        ),
        *(
            (one["spec"]["selector"]["matchLabels"], labels)
            for one in objects.of("PodDisruptionBudget")
        ),
        *((one["spec"]["selector"], labels) for one in objects.of("Service")),
        *(
            (one["spec"]["podSelector"]["matchLabels"], labels)
            for one in objects.of("NetworkPolicy")
        ),
        *(
            (one["spec"]["selector"]["matchLabels"], labels)
            for kind in ("Deployment", "StatefulSet")
            for one in objects.of(kind)
        ),
    ]:
        found = [one for one in among if selector.items() <= one.items()]
        assert found, selector
        assert len({one[LABEL] for one in found}) == 1, f"{selector} finds pods of two kinds"


@cases
def test_a_new_version_of_the_chart_alone_starts_no_engine_again(case: Path) -> None:
    """Loading takes minutes: the pods' own labels must not name the chart's version."""
    for one in render(case).of("StatefulSet"):
        assert "helm.sh/chart" not in one["spec"]["template"]["metadata"]["labels"]


def strings(value: Any) -> list[str]:
    """Every text in a tree of mappings and lists."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in strings(one)]
    return [value] if isinstance(value, str) else []
