"""A real vLLM serving the real default student, started as `interests engine` starts it.

`INTERESTS_TEST_VLLM_URL` uses one that already runs (it must serve the same student).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from models.engine.command import find_python
from models.packaging.build import built_folder
from models.packaging.registry import BASE_STUDENT, DEFAULT_STUDENT, find_student
from service.manifest import MANIFEST, load_manifest
from tests.parts.metrics import total
from tests.parts.require import missing_part

ROOT = Path(__file__).parents[2]
BUILT = ROOT / ".cache" / "students"
START_LIMIT_S = 300.0
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Engine:
    """A running vLLM. `pid` is None where the tests were given its URL."""

    url: str
    model: str
    folder: Path
    pid: int | None = None
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def metric(self, *names: str) -> float:
        """The sum of these metrics of vLLM's own."""
        return total(httpx.get(f"{self.url}/metrics", timeout=10).text, *names)

    def in_flight(self) -> float:
        """Requests running and waiting, by vLLM's own account."""
        return self.metric("vllm:num_requests_running", "vllm:num_requests_waiting")

    @property
    def manifest_path(self) -> Path:
        """`student.yaml` of the student it serves."""
        return self.folder / MANIFEST

    def kill(self, sign: int = signal.SIGKILL) -> None:
        """Send a signal to the whole process group that was started."""
        assert self.process is not None, "only an engine that the tests started can be killed"
        try:
            os.killpg(self.process.pid, sign)
        except ProcessLookupError:
            return

    def stop(self) -> None:
        """Ask it to end, then insist."""
        if self.process is None:
            return
        self.kill(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        self.kill(signal.SIGKILL)
        self.process.wait(15)


def engine_python() -> str:
    """The engine environment's Python; where there is none, the test that asks is skipped."""
    python = find_python(os.environ, ROOT)
    probe = "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"
    if not Path(python).is_file() or subprocess.run([python, "-c", probe]).returncode != 0:
        missing_part("vLLM", "run `make engine`, or set INTERESTS_ENGINE_PYTHON")
    return python


def build(name: str = DEFAULT_STUDENT, into: Path = BUILT, *options: str) -> Path:
    """Build a student in the engine environment (nothing to do when it is there already)."""
    run = "from models.commands.students import students; students()"
    command = [engine_python(), "-c", run, "build", name, "--into", str(into), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    if done.returncode != 0:
        pytest.fail(f"the student could not be built:\n{done.stdout}\n{done.stderr}", pytrace=False)
    return built_folder(find_student(name).manifest, into)


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch_engine(
    folder: Path,
    log: Path,
    *arguments: str,
    options: Sequence[str] = (),
    port: int | None = None,
    key: str | None = None,
) -> Engine:
    """Start an engine and return at once; `wait_ready` waits for it. The caller stops it.

    `options` are those of `interests engine`, `arguments` are vLLM's own.
    """
    port = port or free_port()
    run = "import typer; from models.commands.engine import engine; typer.run(engine)"
    command = [sys.executable, "-c", run, "--student", str(folder), "--port", str(port)]
    environment = {**os.environ, "INTERESTS_ENGINE_PYTHON": engine_python()}
    if key is not None:
        environment["VLLM_API_KEY"] = key
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *options, "--", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    model = load_manifest(folder).key
    return Engine(f"http://127.0.0.1:{port}", model, folder, process.pid, log, process)


def wait_ready(engine: Engine, limit_s: float = START_LIMIT_S) -> Engine:
    """Wait until its `/health` answers; its log's end is shown where it does not."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if engine.process is not None and engine.process.poll() is not None:
            break
        try:
            if httpx.get(f"{engine.url}/health", timeout=2).status_code == 200:
                return engine
        except httpx.HTTPError:
            pass
        time.sleep(0.25)
    engine.stop()
    tail = "" if engine.log is None else engine.log.read_text(errors="replace")[-4000:]
    pytest.fail(f"vLLM did not become ready on {engine.url}:\n{tail}", pytrace=False)


@pytest.fixture(scope="session")
def built_student() -> Path:
    """The folder of the student that serves by default, built once, in `.cache/students`."""
    return build()


@pytest.fixture(scope="session")
def built_base() -> Path:
    """The folder of the packaged base as it is, built once, in `.cache/students`."""
    return build(BASE_STUDENT)


@pytest.fixture(scope="session")
def mortal_engine(
    request: pytest.FixtureRequest, built_student: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """An engine that a test may freeze or kill: the session's, or one of ours beside the given.

    Who kills it is marked `kills_vllm`.
    """
    shared: Engine = request.getfixturevalue("vllm_engine")
    if shared.process is not None:
        yield shared
        return
    with _started(built_student, tmp_path_factory.mktemp("mortal")) as engine:
        yield engine


@pytest.fixture(scope="session")
def vllm_engine(built_student: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A real vLLM with the default student, one for the whole session."""
    if url := os.environ.get("INTERESTS_TEST_VLLM_URL"):
        model = load_manifest(built_student).key
        yield wait_ready(Engine(url.rstrip("/"), model, built_student))
        return
    with _started(built_student, tmp_path_factory.mktemp("vllm")) as engine:
        yield engine


@contextmanager
def _started(student: Path, folder: Path) -> Iterator[Engine]:
    engine = launch_engine(student, folder / "vllm.log")
    try:
        yield wait_ready(engine)
    finally:
        engine.stop()


def _die_with_parent() -> None:
    """In the child: end when the tests are killed, so that no engine outlives them (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
