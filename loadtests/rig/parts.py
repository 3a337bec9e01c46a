"""The processes of a load test: a real Redis, stubs, and gateways, each on its cores."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console

from deploy.local.processes import Children, free_port
from loadtests.local_gateway import HOST, LocalGateway, environment_of, local_gateway
from loadtests.rig.cores import Cores, pin, take_cores
from loadtests.rig.machine import ROOT
from loadtests.rig.own_redis import own_redis
from loadtests.rig.users import write
from service.errors import ConfigurationError
from service.manifest import load_manifest
from service.records import Signal

_START_S = 60.0


@dataclass(slots=True)
class Process:
    """A stub or reference that runs."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{HOST}:{self.port}"


class Parts:
    """Starts what a scenario needs; all of it ends with the block of `parts`."""

    def __init__(self, folder: Path, cores: Cores, stack: ExitStack) -> None:
        self.folder = folder
        """A scratch folder, removed at the end."""
        self.cores = cores
        self._stack = stack
        self._children = Children(folder / "log")
        stack.callback(self._children.stop)
        self._sides = 0

    def redis(self) -> str:
        """Start a Redis of its own, empty. Returns the URL without its database (`…/`)."""
        client = self._stack.enter_context(own_redis(self.folder))
        return f"redis://{HOST}:{client.connection_pool.connection_kwargs['port']}/"

    def engine(self, student: Path, step_ms: float, tokens: int, *flags: str) -> Process:
        """Start an engine simulator that writes lists of so many tokens. `flags`: further ones."""
        ends = ("--fault", "cut", "--finish", "stop", "--fault-after", str(tokens))
        model = ("--model", load_manifest(student).key)
        speed = ("--step-ms", f"{step_ms:g}")
        found = self.serve("engine_simulator", *model, *speed, *ends, *flags)
        pin(found.pid, self.cores.engine)
        return found

    def serve(self, module: str, *flags: str, measured: bool = False) -> Process:
        """Start `loadtests.<module>` with `--port`, and wait until it answers.

        `measured` puts it on the core of what is measured.
        """
        port = free_port()
        command = [sys.executable, "-m", f"loadtests.{module}", "--port", str(port), *flags]
        name = f"{module}-{port}"
        child = self._children.start(name, command, {"PYTHONPATH": str(ROOT)})
        if measured:
            pin(child.process.pid, self.cores.measured)
        found = Process(port, child.process.pid)
        self._until(
            name,
            lambda: httpx.get(f"{found.url}/health", timeout=5).is_success,
            httpx.TransportError,
        )
        return found

    def side_folder(self) -> Path:
        """A data folder for one more gateway."""
        self._sides += 1
        folder = self.folder / f"side-{self._sides}"
        folder.mkdir()
        return folder

    def load(self, tree: Path, settings: Mapping[str, str], what: str, file: Path) -> None:
        """Run `interests <what> load FILE` of a checkout, by settings without `INTERESTS_`.

        Raises `ConfigurationError` with its last line where it fails.
        """
        with Console(stderr=True).status(f"loading the {what} …"):
            done = subprocess.run(
                [sys.executable, "-m", "service", what, "load", str(file)],
                cwd=tree,
                env=environment_of(tree, settings),
                capture_output=True,
                text=True,
            )
        if done.returncode != 0:
            said = (done.stderr.strip() or "it said nothing").splitlines()[-1]
            raise ConfigurationError(f"`interests {what} load` failed: {said}")

    def load_signals(
        self, tree: Path, settings: Mapping[str, str], users: Mapping[str, Sequence[Signal]]
    ) -> None:
        """Put users' signals into the Redis of these settings."""
        path = self.folder / "signals.jsonl"
        write(users, path)
        self.load(tree, settings, "signals", path)

    def gateway(
        self,
        tree: Path,
        folder: Path,
        settings: Mapping[str, str],
        cores: frozenset[int] = frozenset(),
    ) -> LocalGateway:
        """Start a gateway of a checkout. It ends with the block of `parts`.

        `cores` are those it runs on, the measured one unless given. Raises `ConfigurationError`
        with the end of its log where it does not start.
        """
        gateway = local_gateway(tree, folder, settings, cores=cores or self.cores.measured)
        with Console(stderr=True).status("starting a gateway …"):
            try:
                return self._stack.enter_context(gateway)
            except RuntimeError as error:
                raise ConfigurationError(" ".join(str(error).split())) from error

    def _until(self, name: str, met: Callable[[], bool], error: type[Exception]) -> None:
        until = time.monotonic() + _START_S
        while True:
            self._children.check()
            try:
                if met():
                    return
            except error:
                if time.monotonic() > until:
                    raise ConfigurationError(f"{name} did not start") from None
            time.sleep(0.05)


@contextmanager
def parts(cores: Cores | None = None) -> Iterator[Parts]:
    """Share out the cores and start with nothing running; what was started ends with the block.

    `cores` are those shared out before, where a run has several such blocks: by then this process
    has been moved to some of them, and would take these for all that there are.
    """
    with tempfile.TemporaryDirectory(prefix="interests-") as scratch, ExitStack() as stack:
        yield Parts(Path(scratch), cores or take_cores(), stack)


def wait_until_up(gateway: LocalGateway, *checks: str) -> None:
    """Wait until `/readyz` calls these parts `ok` (`student`, `index`, `redis`).

    Raises `ConfigurationError` with what they are where that takes longer than a minute.
    """
    until = time.monotonic() + _START_S
    while True:
        try:
            found = httpx.get(f"{gateway.url}/readyz", timeout=_START_S).json()["checks"]
        except httpx.TransportError as error:
            raise ConfigurationError(f"the gateway does not answer: {error}") from error
        if all(found.get(check) == "ok" for check in checks):
            return
        if time.monotonic() > until:
            raise ConfigurationError(f"the gateway is not ready: {found}")
        time.sleep(0.1)
