"""The command that serves a student, for each kind of hardware."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from models.engine.command import (
    Host,
    dtype,
    engine_command,
    find_python,
    prepare_engine,
    this_machine,
)
from models.packaging.registry import find_student
from service.addresses import family_of
from service.errors import ConfigurationError
from service.manifest import Manifest, Speculation, load_manifest
from tests.unit.service.test_manifest import folder_with

BASE = find_student("smollm2-base")
SMALL = Host(frozenset({"avx2"}), 2, has_gpu=False)
LARGE = Host(frozenset({"avx512f", "avx512_bf16"}), 32, has_gpu=False)
GPU = Host(frozenset({"avx2"}), 32, has_gpu=True)


def command(machine: Host, manifest: Manifest = BASE.manifest) -> tuple[list[str], dict[str, str]]:
    return engine_command(manifest, BASE.folder, port=9000, machine=machine, python="python")


def value(argv: list[str], flag: str) -> str:
    return argv[argv.index(flag) + 1]


@pytest.mark.parametrize(
    ("machine", "expected"), [(SMALL, "float32"), (LARGE, "bfloat16"), (GPU, "auto")]
)
def test_the_dtype_follows_from_the_hardware(machine: Host, expected: str) -> None:
    assert dtype(machine) == expected
    assert value(command(machine)[0], "--dtype") == expected


def test_the_engine_serves_the_students_key_and_nothing_else() -> None:
    argv, _ = command(SMALL)
    assert argv[:3] == ["python", "-m", "vllm.entrypoints.openai.api_server"]
    assert value(argv, "--served-model-name") == BASE.manifest.key
    assert value(argv, "--model") == str(BASE.folder)
    assert value(argv, "--port") == "9000"
    assert value(argv, "--max-model-len") == str(BASE.manifest.engine.max_model_len)
    assert "--enable-prompt-tokens-details" in argv


def test_the_engine_stays_offline() -> None:
    for machine in (SMALL, GPU):
        _, environment = command(machine)
        assert environment["HF_HUB_OFFLINE"] == "1"
        assert environment["VLLM_NO_USAGE_STATS"] == "1"


def test_cache_blocks_are_small_on_the_cpu_only() -> None:
    assert value(command(SMALL)[0], "--block-size") == str(BASE.manifest.engine.block_size)
    assert "--block-size" not in command(GPU)[0]
    assert "VLLM_CPU_KVCACHE_SPACE" not in command(GPU)[1]


def test_threads_are_left_to_the_kernel_where_cores_are_few() -> None:
    assert command(SMALL)[1]["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    assert "VLLM_CPU_OMP_THREADS_BIND" not in command(LARGE)[1]


def test_speculation_is_what_the_manifest_says() -> None:
    def with_guess(guess: Speculation | None) -> list[str]:
        engine = BASE.manifest.engine.model_copy(update={"speculation": guess})
        return command(SMALL, BASE.manifest.model_copy(update={"engine": engine}))[0]

    assert "--speculative-config" not in with_guess(None)
    assert json.loads(value(with_guess(Speculation(tokens=5)), "--speculative-config")) == {
        "method": "ngram",
        "num_speculative_tokens": 5,
        "prompt_lookup_min": 1,
        "prompt_lookup_max": 4,
    }


def test_further_flags_come_last_so_that_they_win() -> None:
    argv, _ = engine_command(
        BASE.manifest, BASE.folder, port=1, machine=SMALL, python="p", extra=["--seed", "7"]
    )
    assert argv[-2:] == ["--seed", "7"]


def test_the_cpu_is_read_from_its_own_description(tmp_path: Path) -> None:
    described = tmp_path / "cpuinfo"
    described.write_text("processor : 0\nflags : fpu avx2 amx_bf16\n\nflags : other\n")
    machine = this_machine(has_gpu=False, cpuinfo=described)
    assert machine.cpu_flags == {"fpu", "avx2", "amx_bf16"}
    assert machine.cpus >= 1
    assert this_machine(has_gpu=False, cpuinfo=tmp_path / "none").cpu_flags == frozenset()


def test_the_engine_environment_is_found(tmp_path: Path) -> None:
    assert find_python({"INTERESTS_ENGINE_PYTHON": "/x/python"}, tmp_path) == "/x/python"
    assert find_python({}, tmp_path) == sys.executable
    beside = tmp_path / ".venv-engine" / "bin" / "python"
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert find_python({}, tmp_path) == str(beside)


def small_student(tmp_path: Path) -> tuple[Manifest, Path]:
    return load_manifest(folder_with(tmp_path)), tmp_path


@pytest.mark.parametrize(("host", "said"), [("127.0.0.1", "127.0.0.1"), ("::1", r"\[::1\]")])
def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path, host: str, said: str) -> None:
    manifest, folder = small_student(tmp_path)
    with socket.socket(family_of(host)) as taken:
        try:
            taken.bind((host, 0))
        except OSError as error:
            pytest.skip(f"this machine has no {host}: {error}")
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"{said}:{port}: Address already.*--port"):
            prepare_engine(manifest, folder, port=port, host=host, python=sys.executable)


def test_a_wrong_checksum_is_said_before_anything_starts(tmp_path: Path) -> None:
    manifest, folder = small_student(tmp_path)
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ConfigurationError, match=r"model\.safetensors: sha256"):
        prepare_engine(manifest, folder, port=1, python=sys.executable)


@pytest.mark.parametrize("python", [sys.executable, "/no/such/python"])
def test_a_python_without_vllm_is_said_before_anything_starts(tmp_path: Path, python: str) -> None:
    """The tests' own environment has no vLLM."""
    manifest, folder = small_student(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConfigurationError, match="INTERESTS_ENGINE_PYTHON"):
        prepare_engine(manifest, folder, port=port, python=python)


def python_with(folder: Path, cuda: str | None, cpu: str | None) -> str:
    """What answers, when it is asked for its vLLM, as a Python that has this one."""
    script = folder / "python"
    said = json.dumps({"found": True, "cuda": cuda, "cpu": cpu})
    script.write_text(f"#!/bin/sh\necho '{said}'\n")
    script.chmod(0o755)
    return str(script)


def asking_for(manifest: Manifest, vllm: str | None) -> Manifest:
    engine = manifest.engine.model_copy(update={"vllm": vllm})
    return manifest.model_copy(update={"engine": engine})


@pytest.mark.parametrize("wanted", ["0.3", "0.30", "0.31.1", "1", "0.310"])
@pytest.mark.parametrize(("cuda", "cpu"), [("0.31.0+cu130", None), (None, "0.31.0")])
def test_another_vllm_than_the_manifests_is_said_before_anything_starts(
    tmp_path: Path, wanted: str, cuda: str | None, cpu: str | None
) -> None:
    manifest, folder = small_student(tmp_path)
    asked = rf"this is vLLM 0\.31\.0.*{manifest.key} asks for {wanted} \(engine\.vllm\): use"
    with pytest.raises(ConfigurationError, match=asked):
        prepare_engine(
            asking_for(manifest, wanted), folder, port=0, python=python_with(tmp_path, cuda, cpu)
        )


@pytest.mark.parametrize("wanted", [None, "0", "0.31", "0.31.0"])
@pytest.mark.parametrize(("cuda", "cpu"), [("0.31.0+cu130", None), (None, "0.31.0")])
def test_the_vllm_that_the_manifest_asks_for_is_started(
    tmp_path: Path, wanted: str | None, cuda: str | None, cpu: str | None
) -> None:
    manifest, folder = small_student(tmp_path)
    python = python_with(tmp_path, cuda, cpu)
    argv, _ = prepare_engine(asking_for(manifest, wanted), folder, port=0, python=python)
    assert argv[0] == python


def test_without_a_compiler_an_engine_on_a_cpu_does_not_start_and_one_on_a_gpu_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, folder = small_student(tmp_path)
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    cpu, gpu = python_with(tmp_path, None, "0.31.0"), {"cuda": "0.31.0+cu130", "cpu": None}
    with pytest.raises(ConfigurationError, match=r"no-compiler, which is not there: install"):
        prepare_engine(asking_for(manifest, None), folder, port=0, python=cpu)
    prepare_engine(asking_for(manifest, None), folder, port=0, python=python_with(tmp_path, **gpu))
