"""The children of `make run`: they end with us, and their end is told in one line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.local.processes import Children, free_port, require_port
from service.errors import ConfigurationError


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_child_that_ends_by_itself_is_named_with_its_last_words(tmp_path: Path) -> None:
    children = Children(tmp_path)
    child = children.start("redis", python("import sys; print('no room', flush=True); sys.exit(3)"))
    child.process.wait(20)
    with pytest.raises(ConfigurationError, match=r"redis ended with status 3: no room \(log: "):
        children.check()
    children.stop()


def test_stop_ends_children_and_what_they_started(tmp_path: Path) -> None:
    children = Children(tmp_path)
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    child = children.start("engine", python(code))
    grandchild = int(_first_line(child.log))
    children.stop()
    assert child.process.returncode == -signal.SIGTERM
    assert _gone(grandchild)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    children = Children(tmp_path)
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True)\n"
        "time.sleep(60)"
    )
    child = children.start("stubborn", python(code))
    _first_line(child.log)
    children.stop(patience_s=0.2)
    assert child.process.returncode == -signal.SIGKILL


def test_children_end_when_we_are_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from deploy.local.processes import Children\n"
        "children = Children(Path(sys.argv[1]))\n"
        "child = children.start('c', [sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.process.pid, flush=True)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([*python(code), str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert _gone(child)


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} cannot be used"):
            require_port(port)
    require_port(free_port())


def _first_line(log: Path) -> str:
    until = time.monotonic() + 20
    while not (text := log.read_text()).endswith("\n"):
        assert time.monotonic() < until
        time.sleep(0.02)
    return text.splitlines()[0]


def _gone(pid: int) -> bool:
    """Wait for a process that is nobody's child of ours to end; a zombie has ended."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False
