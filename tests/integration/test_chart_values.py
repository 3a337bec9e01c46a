"""Every value of the chart does something: another one renders something else."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.integration.test_chart_refusals import TRIAL, WELL
from tests.parts.chart import VALUES, leaves
from tests.parts.helm import render

PEER = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
FULL: dict[str, Any] = {
    **WELL,
    "redis": {
        "url": "rediss://redis.data",
        "passwordSecret": {"name": "redis-login"},
        "tls": {"secret": "redis-certificates"},
    },
    "opensearch": {
        "url": "https://search.data",
        "passwordSecret": {"name": "search-login"},
        "tls": {"secret": "search-certificates"},
    },
    "gateway": {
        "signingSecret": {"name": "signing"},
        "settings": {"open_metrics": True},
        "keys": {
            "prometheus": {"secret": {"name": "keys", "key": "prometheus"}, "rights": ["metrics"]}
        },
        "autoscaling": {"kind": "keda"},
    },
    "encoder": {
        "claim": "encoders",
        "folder": "e/1",
        "url": "http://encoder",
        "apiKeySecret": {"name": "encoder"},
    },
    "students": {"main": WELL["students"]["main"], "other": {"model": {"build": "small@1"}}},
    "defaultStudent": "main",
    "studentDefaults": {
        "apiKeySecret": {"name": "engines"},
        "autoscaling": {"kind": "keda"},
        "gpus": 2,
    },
    "metrics": {"serviceMonitor": {"enabled": True}},
    "prometheus": {"url": "http://prometheus"},
    "networkPolicy": {
        "enabled": True,
        "gatewayFrom": PEER,
        "redisTo": PEER,
        "opensearchTo": PEER,
        "encoderTo": PEER,
        "prometheusFrom": PEER,
    },
    "ingress": {"enabled": True, "host": "news.example", "tlsSecret": "certificate"},
}
FEW: dict[str, Any] = {
    **WELL,
    "opensearch": {"url": "https://search.data", "tls": {"verify": True}},
    "students": {"main": {"model": {"image": "students:1", "folder": "news-qwen/1"}}},
}
BASES = (FULL, FEW, TRIAL)
"""One with everything, one with little, and a trial: each value counts in one of them at least."""
OTHER: dict[str, Any] = {
    "fullnameOverride": "news",
    "images.gateway.pullPolicy": "Always",
    "images.engine.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccount.annotations": {"a": "b"},
    "gateway.service.annotations": {"a": "b"},
    "ingress.annotations": {"a": "b"},
    "redis.url": "rediss://elsewhere:7000",
    "opensearch.url": "https://elsewhere:7000",
    "encoder.url": "http://elsewhere:7000",
    "encoder.claim": "others",
    "encoder.folder": "e/2",
    "gateway.keys": {"backend": {"secret": {"name": "keys", "key": "backend"}}},
    "gateway.experiments": "layers: []",
    "gateway.settings": {"late_ms": 1},
    "gateway.autoscaling.kind": "hpa",
    "gateway.service.type": "NodePort",
    "students": {"main": {"window": 1}},
    "defaultStudent": "other",
    "studentDefaults.model.size": "9Gi",
    "studentDefaults.vllmArgs": ["--seed=1"],
    "studentDefaults.env": {"A": "b"},
    "studentDefaults.autoscaling.kind": "hpa",
    "studentDefaults.timeoutMs": 100,
    "metrics.serviceMonitor.interval": "1m",
    "metrics.serviceMonitor.labels": {"a": "b"},
    "metrics.key": "prometheus",
    "prometheus.url": "http://elsewhere",
    "networkPolicy.redisPorts": [7001],
    "ingress.enabled": False,
    "ingress.paths": ["/"],
    **{f"networkPolicy.{to}": [{"podSelector": {}}] for to in FULL["networkPolicy"]},
    "networkPolicy.enabled": False,
    **{
        f"{where}.{name}": value
        for where in ("gateway", "studentDefaults")
        for name, value in {
            "spread": "DoNotSchedule",
            "podAnnotations": {"a": "b"},
            "nodeSelector": {"a": "b"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"podAntiAffinity": {}},
        }.items()
    },
}
"""Another value, where one more, the opposite or another text would be refused."""
ALONE: dict[str, list[dict[str, Any]]] = {
    **{
        f"gateway.experimentsWatcher.{name}": [
            {**WELL, "gateway": {"experiments": "layers: []", "experimentsWatcher": watcher}}
            for watcher in ({"enabled": name != "enabled"}, {"enabled": True, **more})
        ]
        for name, more in {
            "enabled": {},
            "resources": {"resources": {"limits": {"memory": "77Gi"}}},
        }.items()
    },
    "encoder.image": [{**FEW, "encoder": {"image": name, "folder": "e/1"}} for name in "ab"],
    "studentDefaults.model.claim": [
        {
            **WELL,
            "students": {"main": {"model": {"folder": "a"}}},
            "studentDefaults": {"model": {"claim": name}},
        }
        for name in "ab"
    ],
    "studentDefaults.model.image": [
        {
            **WELL,
            "students": {"main": {"model": {"folder": "a"}}},
            "studentDefaults": {"model": {"image": name}},
        }
        for name in "ab"
    ],
    "studentDefaults.model.build": [
        {**WELL, "students": {"main": {}}, "studentDefaults": {"model": {"build": name}}}
        for name in ("a@1", "b@1")
    ],
    "studentDefaults.model.folder": [
        {
            **WELL,
            "students": {"main": {"model": {"claim": "c"}}},
            "studentDefaults": {"model": {"folder": name}},
        }
        for name in "ab"
    ],
    "studentDefaults.adapters": [
        {**WELL, "defaultStudent": "main", "studentDefaults": {"adapters": adapters}}
        for adapters in ({}, {"sport": {"folder": "sport/1"}})
    ],
    "trial.enabled": [TRIAL, {**WELL, "gateway": {"replicas": 1}}],
    "redis.tls.cert": [
        {**FULL, "redis": {**FULL["redis"], "tls": {"secret": "s", "cert": name}}}
        for name in ("", "c")
    ],
}
"""Two sets of values each, for what cannot be changed by itself."""
FOUND = {path: default for _, path, default in leaves(yaml.compose(VALUES.read_text()), ())}


def another(path: str) -> Any:
    """A value that is not the default, and that the schema takes."""
    if path in OTHER:
        return OTHER[path]
    default = yaml.safe_load(FOUND[path] or '""')
    if path.endswith("resources"):
        return {"limits": {"memory": "77Gi"}}
    if isinstance(default, bool):
        return not default
    return default + 1 if isinstance(default, int | float) else f"{default}x"


@pytest.mark.parametrize("path", FOUND)
def test_another_value_renders_something_else(path: str) -> None:
    if path in ALONE:
        one, other = ALONE[path]
        assert render(one) != render(other)
        return
    value = another(path)
    for key in reversed(path.split(".")):
        value = {key: value}
    assert any(render(base) != render(base, value) for base in BASES if applies(path, base))


def applies(path: str, base: dict[str, Any]) -> bool:
    """Whether the value can be changed there: a trial takes neither parts nor many gateways."""
    if base is TRIAL:
        return path.startswith("trial.")
    return not path.startswith("trial.")
