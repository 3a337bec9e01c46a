"""What the chart describes comes up, becomes ready, answers and drains: its commands as processes.

The gateway, its Redis, the demo's loading and the chart's own test are run as rendered.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.manifest import MANIFEST, load_manifest
from tests.parts.gateway import free_port
from tests.parts.helm import Objects, render
from tests.parts.pods import Pod, Running
from tests.parts.redis import RedisServer
from tests.parts.simulator import simulator
from tests.parts.vllm import engine_python

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]

ENGINE = "http://interests-engine-main-0.interests-engine-main.news.svc:8001"
DRAIN_S = 2


def model_of(student: Path) -> dict[str, Any]:
    """Values of a student that lies on a volume as built ones do: `name/version`."""
    folder = f"{student.parent.name}/{student.name}"
    return {"students": {"main": {"model": {"claim": "students", "folder": folder}}}}


@contextmanager
def running(pod: Pod, name: str) -> Iterator[Running]:
    """A container for the block."""
    process = pod.start(name)
    try:
        yield process
    finally:
        process.end()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What a test starts, ended in reverse."""
    with ExitStack() as stack:
        yield stack


def here(port: int, engine: str) -> dict[str, str]:
    """This machine's addresses for those of the cluster."""
    return {
        ENGINE: engine,
        "0.0.0.0": "127.0.0.1",
        "8080": str(port),
        "http://interests.news.svc:80": f"http://127.0.0.1:{port}",
    }


def ask(port: int, **headers: str) -> httpx.Response:
    body = {"user_id": "maya", "limit": 3, "timeout_ms": 20_000}
    return httpx.post(
        f"http://127.0.0.1:{port}/v1/interests", json=body, headers=headers, timeout=30
    )


def test_a_trial_comes_up_answers_and_drains(
    stack: ExitStack, tmp_path: Path, built_student: Path
) -> None:
    trial = {"trial": {"enabled": True}, "gateway": {"replicas": 1, "drainSeconds": DRAIN_S}}
    objects = render(trial, model_of(built_student))
    engine = stack.enter_context(
        simulator("--model", load_manifest(built_student / MANIFEST).key, "--step-ms", "20")
    )
    port, redis_port = free_port(), free_port()
    instead = {**here(port, engine.url), "interests-redis:6379": f"127.0.0.1:{redis_port}"}

    redis_spec = objects.one("Deployment", "interests-redis")["spec"]["template"]["spec"]
    redis_here = {"6379": str(redis_port), "0.0.0.0": "127.0.0.1"}
    redis = Pod(objects, redis_spec, made(tmp_path / "redis"), redis_here)
    stack.enter_context(running(redis, "redis"))

    students = {"students": built_student.parents[1]}
    pod = Pod(objects, objects.gateway(), made(tmp_path / "gateway"), instead, students)
    demo = pod.run("demo")
    assert demo.returncode == 0, demo.stderr
    gateway = stack.enter_context(running(pod, "gateway"))
    gateway.await_probe("startupProbe")
    gateway.await_probe("readinessProbe", 30)
    assert gateway.probe("livenessProbe")
    answer = ask(port).json()
    assert answer["source"] == {"queries": "fresh", "candidates": "search"}
    assert answer["candidates"]
    assert_helm_test_passes(objects, tmp_path, instead)
    assert_it_drains(gateway, objects, port)
    assert list((tmp_path / "gateway" / "home").iterdir()) == []


def test_a_gateway_with_parts_of_its_own_reads_its_secrets_and_drains(
    stack: ExitStack,
    tmp_path: Path,
    built_student: Path,
    demo: tuple[Path, Path],
    opensearch_url: str,
    index_name: str,
) -> None:
    redis = RedisServer(password="kept in a secret").start()
    stack.callback(redis.close)
    values: dict[str, Any] = {
        "redis": {"url": "redis://redis.data:6379", "passwordSecret": {"name": "redis-login"}},
        "opensearch": {"url": "http://search.data:9200"},
        "gateway": {
            "drainSeconds": DRAIN_S,
            "signingSecret": {"name": "signing"},
            "settings": {"index_name": index_name, "access_log": True},
            "keys": {
                "backend": {"secret": {"name": "callers", "key": "backend"}},
                "prometheus": {
                    "secret": {"name": "callers", "key": "prometheus"},
                    "rights": ["metrics"],
                },
            },
        },
        "metrics": {"serviceMonitor": {"enabled": True}, "key": "prometheus"},
    }
    objects = render(values, model_of(built_student))
    engine = stack.enter_context(
        simulator("--model", load_manifest(built_student / MANIFEST).key, "--step-ms", "20")
    )
    port = free_port()
    instead = {
        **here(port, engine.url),
        "redis.data:6379": f"127.0.0.1:{redis.port}",
        "http://search.data:9200": opensearch_url,
    }
    secrets = {
        "redis-login": {"password": "kept in a secret"},
        "signing": {"secret": "signs request ids"},
        "callers": {"backend": "of the backend", "prometheus": "of prometheus"},
    }
    students = {"students": built_student.parents[1]}
    pod = Pod(objects, objects.gateway(), made(tmp_path / "gateway"), instead, students, secrets)
    gateway = stack.enter_context(running(pod, "gateway"))
    gateway.await_probe("startupProbe")
    assert not gateway.probe("readinessProbe"), "without an index"

    for what, file in zip(("index", "signals"), demo, strict=True):
        some = "".join(file.read_text().splitlines(keepends=True)[:200])
        loaded = pod.run("gateway", "interests", what, "load", "-", given=some)
        assert loaded.returncode == 0, loaded.stderr
    gateway.await_probe("readinessProbe", 30)

    assert ask(port).status_code == 401
    answer = ask(port, **{"x-api-key": "of the backend"})
    assert answer.json()["source"] == {"queries": "fresh", "candidates": "search"}
    [endpoint] = objects.one("ServiceMonitor", "interests-gateway")["spec"]["endpoints"]
    named = endpoint["authorization"]["credentials"]
    key = {"authorization": f"Bearer {secrets[named['name']][named['key']]}"}
    url = f"http://127.0.0.1:{port}{endpoint['path']}"
    assert "interests_in_flight" in httpx.get(url, headers=key).text
    assert httpx.get(url).status_code == 401
    assert_helm_test_passes(objects, tmp_path, instead, secrets)
    assert_it_drains(gateway, objects, port, **{"x-api-key": "of the backend"})


@pytest.mark.parametrize(
    ("pod_of", "weights"), [("gateway", []), ("engine", ["model.safetensors"])]
)
def test_a_student_out_of_an_image_is_copied_as_it_lies(
    tmp_path: Path, pod_of: str, weights: list[str]
) -> None:
    """Gateways leave the weights where they are."""
    image = tmp_path / "image" / "news qwen" / "1"
    image.mkdir(parents=True)
    for name in ("student.yaml", "tokenizer.json", "model.safetensors"):
        (image / name).write_text(name)
    objects = render(
        {"redis": {"url": "redis://r"}, "opensearch": {"url": "http://s"}},
        {"students": {"main": {"model": {"image": "students:1", "folder": "news-qwen/1"}}}},
    )
    spec = objects.gateway() if pod_of == "gateway" else objects.engine()
    instead = {"cd /students": f"cd '{tmp_path / 'image'}'"}
    pod = Pod(objects, spec, made(tmp_path / "pod"), instead)
    done = pod.run("student-main")
    assert done.returncode == 0, done.stderr
    copied = tmp_path / "pod" / "volumes" / "student-main" / "news qwen" / "1"
    assert {path.name for path in copied.iterdir()} == {"student.yaml", "tokenizer.json", *weights}
    assert (copied / "student.yaml").read_text() == "student.yaml"


def test_a_copy_that_fails_stops_the_pod(tmp_path: Path) -> None:
    objects = render(
        {"redis": {"url": "redis://r"}, "opensearch": {"url": "http://s"}},
        {"students": {"main": {"model": {"image": "students:1", "folder": "news-qwen/1"}}}},
    )
    instead = {"cd /students": f"cd '{tmp_path / 'no such folder'}'"}
    done = Pod(objects, objects.engine(), made(tmp_path / "pod"), instead).run("student-main")
    assert done.returncode != 0


def test_an_engine_with_another_vllm_than_the_manifests_ends_before_it_serves(
    tmp_path: Path, built_student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERESTS_ENGINE_PYTHON", engine_python())
    student = tmp_path / "claim" / "own" / "1"
    student.mkdir(parents=True)
    for file in built_student.iterdir():
        (student / file.name).symlink_to(file)
    manifest = yaml.safe_load((student / MANIFEST).read_text())
    manifest["engine"]["vllm"] = "0.1"
    (student / MANIFEST).unlink()
    (student / MANIFEST).write_text(yaml.safe_dump(manifest))
    objects = render(
        {"redis": {"url": "redis://r"}, "opensearch": {"url": "http://s"}}, model_of(student)
    )
    instead = {"0.0.0.0": "127.0.0.1", "8001": str(free_port())}
    claims = {"students": tmp_path / "claim"}
    done = Pod(objects, objects.engine(), made(tmp_path / "pod"), instead, claims).run("engine")
    assert done.returncode == 2
    assert (
        "asks for 0.1 (engine.vllm): use an engine environment or image with that one"
        in done.stderr
    )


def test_a_gateway_without_its_students_file_ends_before_it_listens(tmp_path: Path) -> None:
    objects = render(
        {"redis": {"url": "redis://r"}, "opensearch": {"url": "http://s"}},
        {"students": {"main": {"model": {"claim": "students", "folder": "news-qwen/1"}}}},
    )
    claims = {"students": made(tmp_path / "claim")}
    pod = Pod(objects, objects.gateway(), made(tmp_path / "pod"), {}, claims)
    done = pod.run("gateway")
    assert done.returncode == 2
    assert "news-qwen/1/student.yaml: no such student manifest" in done.stderr


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def assert_helm_test_passes(
    objects: Objects, folder: Path, instead: dict[str, str], secrets: dict[str, Any] | None = None
) -> None:
    """What `helm test` runs ends well."""
    [test] = objects.of("Pod")
    pod = Pod(objects, test["spec"], made(folder / "test"), instead, secrets=secrets or {})
    done: subprocess.CompletedProcess[str] = pod.run("ask")
    assert done.returncode == 0, done.stderr


def assert_it_drains(gateway: Running, objects: Objects, port: int, **headers: str) -> None:
    """Told to stop it is unready first, answers on, and ends by itself within its time."""
    grace = objects.gateway()["terminationGracePeriodSeconds"]
    told = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        begun = pool.submit(ask, port, **headers)
        gateway.process.send_signal(signal.SIGTERM)
        until = told + DRAIN_S
        while gateway.probe("readinessProbe"):
            assert time.monotonic() < until, "it is told to stop and still ready"
        assert gateway.probe("livenessProbe"), "a gateway that drains must not be started again"
        during = pool.submit(ask, port, **headers)
        assert [answer.result().status_code for answer in (begun, during)] == [200, 200]
    assert gateway.process.wait(grace) == 0
    assert time.monotonic() - told >= DRAIN_S
