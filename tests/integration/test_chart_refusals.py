"""Values that nothing can work with are refused before anything is installed, with the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parts.helm import all_helms, refusal, render

MODEL = {"model": {"claim": "students", "folder": "news-qwen/1"}}
WELL: dict[str, Any] = {
    "redis": {"url": "redis://redis.data"},
    "opensearch": {"url": "http://search.data:9200"},
    "students": {"main": MODEL},
}
TRIAL: dict[str, Any] = {
    "trial": {"enabled": True},
    "gateway": {"replicas": 1},
    "students": {"main": MODEL},
}
KEDA = {"kind": "keda"}
PROMETHEUS = {"prometheus": {"url": "http://prometheus:9090"}}
MONITOR = {"metrics": {"serviceMonitor": {"enabled": True}}}
KEYS = {"gateway": {"keys": {"backend": {"secret": {"name": "keys", "key": "backend"}}}}}
NETWORK = {"networkPolicy": {"enabled": True}}
REDIS_TO = {"networkPolicy": {"redisTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}}
SEARCH_TO = {"networkPolicy": {"opensearchTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}}


def student(**more: Any) -> dict[str, Any]:
    """Values of the student `main`, over what is well."""
    return {"students": {"main": more}}


BY_TEMPLATE: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no Redis": (
        [WELL, {"redis": {"url": ""}}],
        "redis.url is empty: give the URL of yours, or try things with --set trial.enabled=true",
    ),
    "no OpenSearch": ([WELL, {"opensearch": {"url": ""}}], "opensearch.url is empty: give"),
    "a password in a URL": (
        [WELL, {"redis": {"url": "redis://me:word@redis.data"}}],
        "put it into a secret and name that in redis.passwordSecret.name",
    ),
    "a password in the second URL": (
        [WELL, {"opensearch": {"url": "https://one,https://me:word@two"}}],
        "put it into a secret and name that in opensearch.passwordSecret.name",
    ),
    "certificates for a URL without TLS": (
        [WELL, {"redis": {"tls": {"secret": "certificates"}}}],
        "redis.url does not use TLS: begin it with rediss://",
    ),
    "a trial beside a Redis": (
        [TRIAL, {"redis": {"url": "redis://redis.data"}}],
        "redis.url is set, and trial.enabled brings its own: choose one of the two",
    ),
    "a trial with two gateways": (
        [TRIAL, {"gateway": {"replicas": 2}}],
        "set gateway.replicas to 1",
    ),
    "a trial that grows": (
        [TRIAL, PROMETHEUS, MONITOR, {"gateway": {"autoscaling": KEDA}}],
        "gateway.autoscaling.kind to none",
    ),
    "no student": (
        [{**WELL, "students": {}}],
        "students is empty: name at least one, for instance --set students.main.model.build",
    ),
    "a student without a manifest": (
        [{**WELL, **student(replicas=2)}],
        "students.main has no manifest: say in students.main.model where its student.yaml is",
    ),
    "a student with nothing": (
        [{**WELL, **student()}],
        "students.main has no manifest",
    ),
    "a student in two places": (
        [WELL, student(model={"build": "interests-small@9"})],
        "students.main.model: build, claim and image exclude each other; keep one",
    ),
    "a student without a folder": (
        [WELL, student(model={"folder": ""})],
        "students.main.model.folder is empty: say where student.yaml lies",
    ),
    "a folder for what is built": (
        [WELL, student(model={"claim": "", "build": "interests-small@9"})],
        "students.main.model.folder: what is built lies where its name says; leave it out",
    ),
    "two students and none serves": (
        [WELL, {"students": {"other": MODEL}}],
        "defaultStudent is empty: say which student serves, one of: main, other",
    ),
    "a default student that there is not": (
        [WELL, {"defaultStudent": "mian"}],
        "defaultStudent: there is no student mian; the students are: main",
    ),
    "an adapter beside what is built": (
        [
            WELL,
            {
                "students": {
                    "main": {
                        "model": {"claim": "", "folder": "", "build": "interests-small@9"},
                        "adapters": {"sport": {"folder": "sport/1"}},
                    }
                }
            },
        ],
        "students.main.adapters: adapters lie beside a student in model.claim or model.image",
    ),
    "an adapter with a student's key": (
        [WELL, student(adapters={"main": {"folder": "sport/1"}})],
        "students.main.adapters.main: another student or adapter has this key",
    ),
    "KEDA for gateways without Prometheus": (
        [WELL, MONITOR, {"gateway": {"autoscaling": KEDA}}],
        "gateway.autoscaling.kind is keda, which asks Prometheus: set prometheus.url",
    ),
    "KEDA for engines without Prometheus": (
        [WELL, MONITOR, student(autoscaling=KEDA)],
        "students.main.autoscaling.kind is keda, which asks Prometheus: set prometheus.url",
    ),
    "KEDA for all students without Prometheus": (
        [WELL, MONITOR, {"studentDefaults": {"autoscaling": KEDA}}],
        "students.main.autoscaling.kind is keda",
    ),
    "an HPA by metrics that nobody collects": (
        [WELL, student(autoscaling={"kind": "hpa"})],
        "which goes by metrics that Prometheus has collected: set metrics.serviceMonitor.enabled",
    ),
    "more replicas at least than at most": (
        [WELL, student(autoscaling={"minReplicas": 9})],
        "students.main.autoscaling.minReplicas is 9, more than maxReplicas 4",
    ),
    "metrics that Prometheus may not read": (
        [WELL, MONITOR, KEYS],
        "/metrics asks for a key; name in metrics.key one of gateway.keys with the right metrics",
    ),
    "a key for metrics that there is not": (
        [WELL, KEYS, {"metrics": {"key": "prometheus"}}],
        "metrics.key: gateway.keys has no prometheus",
    ),
    "a watcher with nothing to watch": (
        [WELL, {"gateway": {"experimentsWatcher": {"enabled": True}}}],
        "there is nothing to watch; give gateway.experiments",
    ),
    "a key for metrics without the right": (
        [WELL, KEYS, {"metrics": {"key": "backend"}}],
        "metrics.key: add metrics to gateway.keys.backend.rights",
    ),
    "a policy that cuts the gateway from Redis": (
        [WELL, NETWORK, SEARCH_TO],
        "networkPolicy cuts the gateway from Redis: say in networkPolicy.redisTo where redis.url",
    ),
    "a policy that cuts the gateway from OpenSearch": (
        [WELL, NETWORK, REDIS_TO],
        "networkPolicy cuts the gateway from OpenSearch: say in networkPolicy.opensearchTo",
    ),
    "a policy that cuts the gateway from the encoder": (
        [
            WELL,
            NETWORK,
            REDIS_TO,
            SEARCH_TO,
            {"encoder": {"claim": "e", "folder": "e/1", "url": "http://e"}},
        ],
        "networkPolicy cuts the gateway from the encoder: say in networkPolicy.encoderTo",
    ),
    "a policy that cuts Prometheus off": (
        [WELL, NETWORK, REDIS_TO, SEARCH_TO, MONITOR],
        "networkPolicy cuts Prometheus off: say in networkPolicy.prometheusFrom",
    ),
    "a policy that cuts the ingress off": (
        [
            WELL,
            NETWORK,
            REDIS_TO,
            SEARCH_TO,
            {"ingress": {"enabled": True, "host": "news.example"}},
        ],
        "networkPolicy cuts the ingress off: add its controller to networkPolicy.gatewayFrom",
    ),
    "an ingress without a name": (
        [WELL, {"ingress": {"enabled": True}}],
        "ingress.host is empty: say by which name callers reach the gateway",
    ),
    "an encoder in two places": (
        [WELL, {"encoder": {"claim": "e", "image": "e:1", "folder": "e/1"}}],
        "encoder.claim and encoder.image are both set",
    ),
    "an encoder without a folder": (
        [WELL, {"encoder": {"claim": "e"}}],
        "encoder.folder is empty: say where encoder.yaml lies",
    ),
    "an encoder's server without a manifest": (
        [WELL, {"encoder": {"url": "http://e"}}],
        "encoder.url needs the encoder's manifest, too",
    ),
    "a name that is too long": (
        [WELL, {"fullnameOverride": "recommendation-of-news-by-interests"}],
        "has more than 28 characters, and engines' names would not fit: set fullnameOverride",
    ),
}
BY_SCHEMA: dict[str, tuple[dict[str, Any], str]] = {
    "a negative number of gateways": ({"gateway": {"replicas": -1}}, "replicas"),
    "no gateway": ({"gateway": {"replicas": 0}}, "replicas"),
    "a negative number of engines": (student(replicas=-2), "replicas"),
    "half a graphics card": (student(gpus=0.5), "gpus"),
    "a value that there is not": (student(repicas=2), "repicas"),
    "a setting that there is not": ({"gateway": {"settings": {"max_inflight": 3}}}, "max_inflight"),
    "a setting out of its bounds": ({"gateway": {"settings": {"redis_pool": 0}}}, "redis_pool"),
    "scaling by CPU": ({"gateway": {"autoscaling": {"kind": "cpu"}}}, "kind"),
    "scaling by the engine's cache": (student(autoscaling={"cacheUsage": 80}), "cacheUsage"),
    "a right that there is not": (
        {"gateway": {"keys": {"me": {"secret": {"name": "a", "key": "b"}, "rights": ["all"]}}}},
        "rights",
    ),
    "a caller without a secret": ({"gateway": {"keys": {"me": {"rights": ["metrics"]}}}}, "secret"),
    "a URL of something else": ({"redis": {"url": "http://redis.data"}}, "url"),
    "a student's key that is no name": ({"students": {"Main": MODEL}}, "Main"),
    "a port that there is not": ({"gateway": {"service": {"port": 70000}}}, "port"),
    "a budget that stops every drain": (
        {"podDisruptionBudget": {"maxUnavailable": 0}},
        "maxUnavailable",
    ),
    "a folder above the volume": (student(model={"folder": "../secrets"}), "folder"),
    "a student without a version": (student(model={"build": "interests-small"}), "build"),
    "no time to load": (student(startupSeconds=0), "startupSeconds"),
}
OWNED = {
    "port": "gateway.service.port",
    "data_dir": "nothing",
    "drain_delay_s": "gateway.drainSeconds",
    "keys": "gateway.keys",
    "secret": "gateway.signingSecret",
    "secret_file": "gateway.signingSecret",
    "students": "students",
    "default_student": "defaultStudent",
    "encoder": "encoder",
    **{
        f"{part}_{name}": f"{part}.{value}"
        for part in ("redis", "opensearch")
        for name, value in {
            "url": "url",
            "username": "username",
            "password": "passwordSecret",
            "password_file": "passwordSecret",
            "tls": "tls",
        }.items()
    },
}


def test_what_is_refused_is_refused_for_its_own_sake() -> None:
    render(WELL)
    render(TRIAL)
    render(WELL, NETWORK, REDIS_TO, SEARCH_TO)
    render(WELL, PROMETHEUS, MONITOR, student(autoscaling=KEDA))


@pytest.mark.parametrize("what", BY_TEMPLATE)
def test_values_that_contradict_each_other_are_refused_with_the_remedy(what: str) -> None:
    values, said = BY_TEMPLATE[what]
    assert said in refusal(*values)


@pytest.mark.parametrize("what", BY_SCHEMA)
def test_nonsense_is_refused_by_name(what: str) -> None:
    values, named = BY_SCHEMA[what]
    said = refusal(WELL, values)
    assert "values don't meet the specifications of the schema" in said
    assert named in said


def test_every_helm_refuses_by_template_and_by_schema() -> None:
    for helm in all_helms():
        assert "replicas" in refusal(WELL, student(replicas=-2), helm=helm)
        assert "defaultStudent" in refusal(WELL, {"defaultStudent": "mian"}, helm=helm)


@pytest.mark.parametrize("name", OWNED)
def test_a_setting_that_the_chart_sets_is_refused_with_the_value_that_sets_it(name: str) -> None:
    said = refusal(WELL, {"gateway": {"settings": {name: sample(name)}}})
    assert f"gateway.settings.{name}: the chart sets it; use {OWNED[name]}" in said


def sample(name: str) -> Any:
    """Something that the schema takes for this setting."""
    if name in {"keys", "students", "encoder"} or name.endswith("_tls"):
        return {}
    return 1 if name in {"port", "drain_delay_s"} else "x"
