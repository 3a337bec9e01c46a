"""The chart's logic: what values make of objects."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from models.packaging.registry import DEFAULT_STUDENT, find_student
from service.settings import load_settings
from service.students import FileIn
from service.telemetry import Metrics
from tests.integration.test_chart_refusals import (
    KEDA,
    MONITOR,
    NETWORK,
    PROMETHEUS,
    REDIS_TO,
    SEARCH_TO,
    TRIAL,
    WELL,
    student,
)
from tests.parts.helm import CASES, CHART, Objects, newest_helm, render, run

CI = CHART / "ci"
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)


def engine_urls(objects: Objects, key: str = "main") -> list[str]:
    found: list[str] = objects.students()["students"][key]["engines"]
    return found


@cases
def test_the_gateway_takes_its_settings(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets are read when settings are: each file is one of the test's own."""
    secret = tmp_path / "secret"
    objects = render(case)
    settings, students = objects.settings(), objects.students()
    for number, group in enumerate([*with_secrets(settings), *with_secrets(students)]):
        for name in [name for name in group if name.endswith("_file") and "_tls" not in name]:
            if name not in {"ca_file", "cert_file", "key_file", "students_file"}:
                own = secret.with_name(f"secret-{number}")
                own.write_text(f"a secret of group {number}")
                group[name] = str(own)
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("INTERESTS_CONFIG", str(file))
    monkeypatch.chdir(tmp_path)
    loaded = load_settings()
    assert str(loaded.data_dir) == "/var/lib/interests"
    assert str(loaded.students_file) == "/etc/interests/students/students.yaml"
    assert FileIn.model_validate(students).default in students["students"]


def with_secrets(value: Any) -> list[dict[str, Any]]:
    """Every mapping in a tree."""
    if not isinstance(value, dict):
        return []
    return [value, *(group for below in value.values() for group in with_secrets(below))]


def test_settings_of_the_gateway_come_as_they_are_given() -> None:
    settings = render(CI / "external.yaml").settings()
    assert settings["max_body_bytes"] == 2_097_152
    assert settings["access_log"] is True
    assert settings["freshness_half_life_h"] == 24.5


def test_a_change_of_settings_rolls_the_gateways_and_no_engine() -> None:
    before, after = render(WELL), render(WELL, {"gateway": {"settings": {"late_ms": 5}}})
    name = "interests-gateway"
    assert before.one("Deployment", name) != after.one("Deployment", name)
    assert before.of("StatefulSet") == after.of("StatefulSet")


def test_every_engine_has_an_address_and_the_gateway_knows_them_all() -> None:
    objects = render(WELL, student(replicas=3))
    [engines] = objects.of("StatefulSet")
    service = objects.one("Service", engines["spec"]["serviceName"])
    assert service["spec"]["clusterIP"] == "None"
    [port] = [port["port"] for port in service["spec"]["ports"]]
    name = engines["metadata"]["name"]
    assert engines["spec"]["replicas"] == 3
    assert engine_urls(objects) == [
        f"http://{name}-{number}.{service['metadata']['name']}.news.svc:{port}"
        for number in range(3)
    ]


@pytest.mark.parametrize("kind", ["keda", "hpa"])
def test_what_is_scaled_has_no_number_of_its_own_and_gateways_know_the_most_engines(
    kind: str,
) -> None:
    objects = render(CI / f"{kind}.yaml")
    [engines], gateway = objects.of("StatefulSet"), objects.one("Deployment", "interests-gateway")
    assert "replicas" not in engines["spec"]
    assert "replicas" not in gateway["spec"]
    scaler = "ScaledObject" if kind == "keda" else "HorizontalPodAutoscaler"
    for one in (engines, gateway):
        of = objects.one(scaler, one["metadata"]["name"])["spec"]
        assert of["scaleTargetRef"] == {
            "apiVersion": one["apiVersion"],
            "kind": one["kind"],
            "name": one["metadata"]["name"],
        }
    most = objects.one(scaler, engines["metadata"]["name"])["spec"]
    assert len(engine_urls(objects)) == (most.get("maxReplicas") or most["maxReplicaCount"])


def metrics_of_the_gateway() -> set[str]:
    registry = CollectorRegistry()
    Metrics(registry)
    return {family.name for family in registry.collect()}


def test_keda_asks_for_metrics_that_the_gateway_has_of_these_engines_alone() -> None:
    objects = render(CI / "keda.yaml")
    asked = {
        one["metadata"]["name"]: [
            trigger["metadata"]["query"] for trigger in one["spec"]["triggers"]
        ]
        for one in objects.of("ScaledObject")
    }
    names = {
        name
        for queries in asked.values()
        for query in queries
        for name in re.findall(r"interests_\w+", query)
    }
    assert names == {
        "interests_in_flight",
        "interests_engine_calls_queued",
        "interests_engine_calls_in_flight",
    }
    assert names <= metrics_of_the_gateway()
    for query in asked["interests-engine-main"]:
        [engines] = re.findall(r'engine=~"([^"]+)"', query)
        for url in engine_urls(objects):
            assert re.fullmatch(engines, url)
            assert not re.fullmatch(engines, url.replace("engine-main", "engine-main-two"))
            assert not re.fullmatch(engines, url.replace(".news.", ".other."))


def test_an_hpa_goes_by_the_same_metrics_with_the_label_that_the_monitor_gives() -> None:
    objects = render(CI / "hpa.yaml")
    monitor = objects.one("ServiceMonitor", "interests-gateway")
    [relabeling] = monitor["spec"]["endpoints"][0]["metricRelabelings"]
    metrics = objects.one("HorizontalPodAutoscaler", "interests-engine-main")["spec"]["metrics"]
    names = {metric["external"]["metric"]["name"] for metric in metrics}
    assert names == {"interests_engine_calls_queued", "interests_engine_calls_in_flight"}
    for url in engine_urls(objects):
        found = re.fullmatch(relabeling["regex"], url)
        assert found is not None
        label = {relabeling["targetLabel"]: found[1]}
        assert all(
            metric["external"]["metric"]["selector"]["matchLabels"] == label for metric in metrics
        )


@cases
def test_nothing_is_scaled_by_cpu_memory_or_the_engines_cache(case: Path) -> None:
    objects = render(case)
    said = yaml.safe_dump([*objects.of("ScaledObject"), *objects.of("HorizontalPodAutoscaler")])
    assert not re.search(r"type: Resource|ContainerResource|type: cpu|type: memory|cache", said)


@pytest.mark.parametrize("drain", [0, 2.5, 10, 300])
def test_a_gateways_time_to_end_follows_from_its_drain(drain: float) -> None:
    objects = render(WELL, {"gateway": {"drainSeconds": drain}})
    assert objects.settings()["drain_delay_s"] == drain
    assert objects.gateway()["terminationGracePeriodSeconds"] == math.ceil(drain) + 30 + 15


def test_an_engines_time_to_end_follows_from_its_drain() -> None:
    pod = render(WELL, student(drainSeconds=90)).engine()
    [container] = pod["containers"]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "90"]
    assert pod["terminationGracePeriodSeconds"] == 90 + 30


def test_an_engine_may_take_its_time_to_load() -> None:
    [container] = render(WELL, student(startupSeconds=1800)).engine()["containers"]
    probe = container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 1800


def test_a_roll_out_of_gateways_may_take_as_long_as_the_slowest_student_loads() -> None:
    slow = {"students": {"small": {"startupSeconds": 60}, "large": {"startupSeconds": 3600}}}
    gateway = render(CI / "two-students.yaml", slow).one("Deployment", "interests-gateway")
    assert gateway["spec"]["progressDeadlineSeconds"] == 3600 + 120 + 300


def test_gateways_are_replaced_without_one_less() -> None:
    [gateway] = render(WELL).of("Deployment")
    assert gateway["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_graphics_cards_are_asked_for_and_shared_by_one_engine() -> None:
    [container] = render(CI / "gpu.yaml").engine()["containers"]
    assert container["resources"]["limits"] == {"memory": "48Gi", "nvidia.com/gpu": 2}
    after = container["args"].index("--")
    assert container["args"][after + 1 :] == [
        "--tensor-parallel-size=2",
        "--gpu-memory-utilization=0.92",
    ]
    assert container["image"] == "interests-engine:0.1.0-cuda"


def test_an_engine_on_the_cpu_asks_for_no_card_and_has_no_arguments_of_its_own() -> None:
    [container] = render(WELL).engine()["containers"]
    assert set(container["resources"]["limits"]) == {"memory"}
    assert "--" not in container["args"]


def test_students_take_what_they_leave_out_from_the_defaults() -> None:
    objects = render(CI / "two-students.yaml", {"studentDefaults": {"window": 7, "replicas": 2}})
    assert [one["spec"]["replicas"] for one in objects.of("StatefulSet")] == [2, 2]
    students = objects.students()["students"]
    assert {students[key]["window"] for key in ("small", "large")} == {7}
    assert students["large"]["timeout_ms"] == 4000
    assert "timeout_ms" not in students["small"]


def test_a_changed_experiments_file_reaches_running_gateways() -> None:
    """It is mounted as a folder, which is swapped, and pods are the same whatever it says."""
    given = yaml.safe_load((CI / "two-students.yaml").read_text())
    text = given["gateway"]["experiments"]
    before = render(CI / "two-students.yaml")
    after = render(CI / "two-students.yaml", {"gateway": {"experiments": text.replace("1%", "9%")}})
    held = before.one("ConfigMap", "interests-experiments")
    assert held["data"]["experiments.yaml"].strip() == text.strip()
    path = Path(before.settings()["experiments_file"])
    mounts = before.gateway()["containers"][0]["volumeMounts"]
    [mount] = [one for one in mounts if one["name"] == "experiments"]
    assert (path.parent, path.name) == (Path(mount["mountPath"]), "experiments.yaml")
    assert "subPath" not in mount
    assert after.of("Deployment") == before.of("Deployment")
    assert "experiments_file" not in render(CI / "external.yaml").settings()


@pytest.mark.parametrize(
    "changes",
    [
        {"defaultStudent": "large"},
        {"students": {"small": {"replicas": 3}}},
        {"students": {"small": {"window": 8, "queue": 16, "timeoutMs": 900}}},
        {"students": {"large": {"model": {"folder": "news-qwen/2"}}}},
    ],
    ids=["default", "engines", "bounds", "folder of a mounted claim"],
)
def test_changed_students_reach_running_gateways(changes: dict[str, Any]) -> None:
    """Their file is mounted as a folder, which is swapped; pods are the same whatever it says."""
    before, after = render(CI / "two-students.yaml"), render(CI / "two-students.yaml", changes)
    assert before.students() != after.students()
    assert after.of("Deployment") == before.of("Deployment")
    path = Path(before.settings()["students_file"])
    mounts = before.gateway()["containers"][0]["volumeMounts"]
    [mount] = [one for one in mounts if one["name"] == "students"]
    assert (path.parent, path.name) == (Path(mount["mountPath"]), "students.yaml")
    assert "subPath" not in mount


def test_a_student_with_a_volume_of_its_own_rolls_the_gateways() -> None:
    """A pod that runs gets no further volume."""
    more = {"students": {"next": {"model": {"claim": "students", "folder": "news-qwen/2"}}}}
    before, after = render(CI / "two-students.yaml"), render(CI / "two-students.yaml", more)
    assert after.of("Deployment") != before.of("Deployment")


def test_the_only_student_serves_by_default() -> None:
    assert render(WELL).students()["default"] == "main"
    assert render(CI / "two-students.yaml").students()["default"] == "small"


def test_the_watcher_is_one_pod_with_the_gateways_settings_and_experiments() -> None:
    objects = render(CI / "two-students.yaml")
    watcher = objects.one("Deployment", "interests-watcher")["spec"]
    assert watcher["replicas"] == 1
    [container] = watcher["template"]["spec"]["containers"]
    [gateway] = objects.gateway()["containers"]
    assert container["command"] == ["interests", "experiments", "watch"]
    assert (container["image"], container["env"]) == (gateway["image"], gateway["env"])
    mounts = [mount for mount in container["volumeMounts"] if mount["name"] != "tmp"]
    assert mounts
    assert all(mount in gateway["volumeMounts"] for mount in mounts)
    names = [one["metadata"]["name"] for one in render(CI / "external.yaml").of("Deployment")]
    assert names == ["interests-gateway"]


def test_adapters_are_students_of_the_same_engines() -> None:
    objects = render(CI / "adapters.yaml")
    students = objects.students()["students"]
    assert students.keys() == {"main", "sport", "money"}
    assert students["sport"]["engines"] == students["main"]["engines"]
    assert students["sport"]["manifest"] == "/students/main/news-sport/1/student.yaml"
    [container] = objects.engine()["containers"]
    assert container["args"] == [
        "--student=/students/main/news-qwen/1",
        "--host=0.0.0.0",
        "--port=8001",
        "--adapter=/students/main/news-money/3",
        "--adapter=/students/main/news-sport/1",
        "--",
        "--max-num-seqs=64",
    ]


def test_a_student_that_is_built_is_one_of_the_registry_and_lies_where_its_name_says() -> None:
    key = find_student(DEFAULT_STUDENT).manifest.key
    objects = render(
        TRIAL,
        {"students": {"main": {"model": {"claim": "", "folder": ""}}}},
        {"students": {"main": {"model": {"build": key}}}},
    )
    place = "/students/main/" + key.replace("@", "/")
    assert objects.students()["students"]["main"]["manifest"] == f"{place}/student.yaml"
    [engine] = objects.engine()["containers"]
    assert f"--student={place}" in engine["args"]
    for pod in (objects.engine(), objects.gateway()):
        build = next(one for one in pod["initContainers"] if one["name"] == "student-main")
        assert build["command"][:4] == ["interests", "students", "build", key]
        [mount] = [one for one in build["volumeMounts"] if one["name"] == "student-main"]
        assert mount["mountPath"] == build["command"][-1]


def test_tls_is_said_to_both_sides_of_an_engine() -> None:
    objects = render(CI / "tls.yaml")
    assert engine_urls(objects)[0].startswith("https://")
    assert objects.students()["students"]["main"]["tls"] == {
        "ca_file": "/etc/interests/tls/engine-main/ca.crt"
    }
    [container] = objects.engine()["containers"]
    assert "--ssl-certfile=/etc/interests/tls/tls.crt" in container["args"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    monitor = objects.one("ServiceMonitor", "interests-engine-main")["spec"]["endpoints"][0]
    assert monitor["scheme"] == "https"


def test_tls_to_redis_and_opensearch_is_a_setting() -> None:
    settings = render(CI / "tls.yaml").settings()
    assert settings["redis_tls"] == {
        "ca_file": "/etc/interests/tls/redis/ca.crt",
        "cert_file": "/etc/interests/tls/redis/tls.crt",
        "key_file": "/etc/interests/tls/redis/tls.key",
    }
    assert settings["opensearch_tls"] == {"verify": False}


@cases
def test_no_secret_stands_in_a_config_map_or_an_argument(case: Path) -> None:
    for settings in with_secrets(render(case).settings()):
        assert not {"password", "secret", "api_key", "redis_password"} & settings.keys()


def policy(objects: Objects, name: str) -> dict[str, Any]:
    found: dict[str, Any] = objects.one("NetworkPolicy", f"interests-{name}")["spec"]
    return found


def ports_to(spec: dict[str, Any], peer: dict[str, Any]) -> list[int]:
    """The ports that a policy lets out to one peer."""
    return [
        port["port"]
        for rule in spec["egress"]
        if peer in rule.get("to", ())
        for port in rule["ports"]
    ]


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("redis://redis.data", [6379]),
        ("rediss://redis.data:6380/2", [6380]),
        ("redis://[fd00::1]:7000", [7000]),
        ("redis-cluster://a:7000,b:7001,c", [7000, 7001, 6379]),
    ],
)
def test_a_policy_lets_the_gateway_reach_redis_where_its_url_leads(
    url: str, ports: list[int]
) -> None:
    objects = render(
        WELL,
        NETWORK,
        REDIS_TO,
        SEARCH_TO,
        {"redis": {"url": url}, "networkPolicy": {"opensearchTo": [{"podSelector": {}}]}},
    )
    [peer] = REDIS_TO["networkPolicy"]["redisTo"]
    assert ports_to(policy(objects, "gateway"), peer) == ports


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("http://search", [80]),
        ("https://search", [443]),
        ("https://one:9200,https://two:9201", [9200, 9201]),
        ("http://one:9200/under/a/path", [9200]),
    ],
)
def test_a_policy_lets_the_gateway_reach_opensearch_where_its_urls_lead(
    url: str, ports: list[int]
) -> None:
    to = {"opensearch": {"url": url}, "networkPolicy": {"opensearchTo": [{"podSelector": {}}]}}
    objects = render(WELL, NETWORK, REDIS_TO, to)
    assert ports_to(policy(objects, "gateway"), {"podSelector": {}}) == ports


def test_a_policy_lets_engines_be_asked_by_gateways_and_ask_nobody() -> None:
    objects = render(CI / "network-trial.yaml")
    engines = policy(objects, "engines")
    assert engines["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in engines
    [rule] = engines["ingress"]
    [peer] = rule["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    own = {"podSelector": engines["podSelector"]}
    assert ports_to(policy(objects, "gateway"), own) == [8001]


def test_a_policy_lets_the_trials_gateway_reach_the_trials_redis() -> None:
    objects = render(CI / "network-trial.yaml")
    own = {"podSelector": policy(objects, "redis")["podSelector"]}
    assert ports_to(policy(objects, "gateway"), own) == [6379]


def test_a_policy_lets_the_watcher_reach_redis_alone() -> None:
    watched = {"gateway": {"experiments": "layers: []", "experimentsWatcher": {"enabled": True}}}
    objects = render(CI / "network-trial.yaml", watched)
    redis, watcher = policy(objects, "redis"), policy(objects, "watcher")
    assert ports_to(watcher, {"podSelector": redis["podSelector"]}) == [6379]
    assert len(watcher["egress"]) == 2
    assert "ingress" not in watcher
    assert {"podSelector": watcher["podSelector"]} in redis["ingress"][0]["from"]
    outside = policy(render(WELL, NETWORK, REDIS_TO, SEARCH_TO, watched), "watcher")
    assert outside["egress"][1]["to"] == REDIS_TO["networkPolicy"]["redisTo"]


def test_a_policy_lets_the_charts_own_test_in() -> None:
    objects = render(CI / "network.yaml")
    [test] = objects.of("Pod")
    wanted = [
        peer["podSelector"]["matchLabels"]
        for peer in policy(objects, "gateway")["ingress"][0]["from"]
        if "podSelector" in peer
    ]
    assert any(labels.items() <= test["metadata"]["labels"].items() for labels in wanted)


def test_prometheus_sends_the_key_that_may_read_metrics() -> None:
    monitor = render(CI / "ingress.yaml").one("ServiceMonitor", "news-gateway")
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": "caller-keys", "key": "prometheus"}


def test_the_charts_test_sends_a_key_that_may_ask() -> None:
    [test] = render(CI / "ingress.yaml").of("Pod")
    [variable] = test["spec"]["containers"][0]["env"]
    assert variable["name"] == "INTERESTS_API_KEY"
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "caller-keys", "key": "backend"}


def test_an_ingress_lets_in_what_it_is_told_to_and_nothing_of_operation() -> None:
    [ingress] = render(CI / "ingress.yaml").of("Ingress")
    [rule] = ingress["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/v1"]
    assert ingress["spec"]["tls"] == [
        {"hosts": ["interests.example.com"], "secretName": "interests-tls"}
    ]


def test_a_trial_brings_redis_and_an_index_of_the_gateways_own() -> None:
    settings = render(TRIAL).settings()
    assert settings["redis_url"] == "redis://interests-redis:6379/0"
    assert "opensearch_url" not in settings


@pytest.mark.parametrize(
    ("values", "said", "unsaid"),
    [
        (TRIAL, ["interests ask maya", "articles and signals go with the pods"], ["index load"]),
        (
            WELL,
            ["index load -", "No key is asked for", "helm -n news test interests"],
            ["ask maya"],
        ),
        (
            {**WELL, **MONITOR, **student(**WELL["students"]["main"], autoscaling={"kind": "hpa"})},
            ["needs an adapter", "1 to 4 engines, by hpa"],
            ["interests_in_flight for pods"],
        ),
    ],
)
def test_the_notes_say_what_to_do_next(
    values: dict[str, Any], said: list[str], unsaid: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    command = ("install", "interests", str(CHART), "--namespace", "news", "--dry-run=client")
    done = run(newest_helm(), *command, "--values", str(file))
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert all(words in notes for words in said)
    assert not any(words in notes for words in unsaid)


def test_keda_is_asked_at_the_prometheus_that_is_named() -> None:
    objects = render(WELL, PROMETHEUS, MONITOR, student(autoscaling=KEDA))
    [scaled] = objects.of("ScaledObject")
    assert {one["metadata"]["serverAddress"] for one in scaled["spec"]["triggers"]} == {
        "http://prometheus:9090"
    }
