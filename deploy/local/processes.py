"""Child processes that end when we end, and say why when they end first."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import ConfigurationError

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Child:
    """A running part: its name, its process, and the log it writes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def dead(self) -> bool:
        """True once it has ended."""
        return self.process.poll() is not None

    def last_words(self) -> str:
        """The last line of its log that says something."""
        lines = [line.strip() for line in _tail(self.log).splitlines()]
        said = [line for line in lines if line]
        errors = [line for line in said if "error" in line.lower()]
        return (errors or said or ["it said nothing"])[-1][-300:]


@dataclass(slots=True)
class Children:
    """All parts of a local stack, ended in the reverse order of their start."""

    logs: Path
    running: list[Child] = field(default_factory=list)

    def start(
        self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None
    ) -> Child:
        """Start a part. Ctrl-C in the terminal reaches us alone; our death reaches the part."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        child = Child(name, process, log)
        self.running.append(child)
        return child

    def check(self) -> None:
        """Raise `ConfigurationError` in one line if a part has ended by itself."""
        for child in self.running:
            if child.dead:
                raise ConfigurationError(
                    f"{child.name} ended with status {child.process.returncode}: "
                    f"{child.last_words()} (log: {child.log})"
                )

    def stop(self, patience_s: float = 15.0) -> None:
        """End every part, politely first; the ones that do not listen are killed."""
        for child in reversed(self.running):
            _signal_group(child, signal.SIGTERM)
        limit = time.monotonic() + patience_s
        for child in reversed(self.running):
            try:
                child.process.wait(max(0.1, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(child, signal.SIGKILL)
                child.process.wait()
            # An engine's workers live in its group and may outlast it.
            _signal_group(child, signal.SIGKILL)
        self.running.clear()


def free_port() -> int:
    """A port on the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_port(port: int, another: str = "`make run PORT=8081`") -> None:
    """Raise `ConfigurationError` if something listens on this loopback port.

    `another` says how to choose another one.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} cannot be used ({error.strerror}); choose another: {another}"
            ) from error


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_group(child: Child, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.process.pid, number)


def _tail(path: Path, size: int = 20_000) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
