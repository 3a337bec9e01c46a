"""The real OpenSearch for tests: one with another's URL, or a node of our own.

The node runs as an unprivileged user (OpenSearch refuses root), so it is unpacked into a temporary
folder that this user owns: the checkout may lie where only root can read.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from tests.deps import DISTRIBUTION, KNN, MODULES, OPENSEARCH, Module, require_opensearch
from tests.parts.frozen import freeze
from tests.parts.require import Missing, missing_part

_START_S = 180.0
_STOP_S = 20.0


class OpenSearchNode:
    """A node on free ports that a test may freeze, kill and start again with its data."""

    def __init__(self, *, knn: bool = True) -> None:
        """`knn`: whether it has the plugin for vectors."""
        try:
            self._java = require_opensearch()
        except Missing as error:
            missing_part("OpenSearch", f"{error}; or set its URL in INTERESTS_TEST_OPENSEARCH_URL")
        self._folder = Path(tempfile.mkdtemp(prefix="opensearch-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self._transport = _free_ports(2)
        self._unpack(knn)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process; it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it can hold an index."""
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self._folder),
            "OPENSEARCH_JAVA_HOME": str(self._java),
            # Else its script makes a folder at each start that nobody removes.
            "OPENSEARCH_TMPDIR": str(self._scratch),
            # The first compiler alone: the node starts in half the time and serves long enough.
            "OPENSEARCH_JAVA_OPTS": "-Xms512m -Xmx512m -XX:TieredStopAtLevel=1",
        }
        settings = {
            "discovery.type": "single-node",
            "http.host": "127.0.0.1",
            "http.port": self.port,
            "transport.host": "127.0.0.1",
            "transport.port": self._transport,
            # A test machine's disk may be fuller than a production one's should be.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        }
        options = [word for key, value in settings.items() for word in ("-E", f"{key}={value}")]
        with (self._folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                [str(self._home / "bin" / "opensearch"), *options],
                cwd=self._home,
                env=environment,
                stdout=console,
                stderr=subprocess.STDOUT,
                user=self._user,
                group=_group(self._user),
                extra_groups=[] if self._user else None,
            )
        self._wait()

    def start_again(self) -> None:
        """Start it, unless it runs."""
        if self._process is None:
            self.start()

    def freeze(self) -> None:
        """Stop it from doing anything, with its connections left open."""
        freeze(self.pid)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it and remove its folder."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _home(self) -> Path:
        return self._folder / f"opensearch-{OPENSEARCH}"

    @property
    def _scratch(self) -> Path:
        return self._folder / "scratch"

    def _unpack(self, knn: bool) -> None:
        with zipfile.ZipFile(DISTRIBUTION.path) as archive:
            archive.extractall(self._folder)
        for script in (self._home / "bin").iterdir():
            script.chmod(0o755)
        for module in MODULES:
            folder = self._home / "modules" / module.name
            folder.mkdir()
            for jar in module.jars:
                shutil.copy(jar.path, folder)
            (folder / "plugin-descriptor.properties").write_text(_descriptor(module))
        if knn:
            with zipfile.ZipFile(KNN.path) as archive:
                archive.extractall(self._home / "plugins" / KNN.name)
        # Some runtimes lack the incubating vector module; nothing here needs it.
        jvm = self._home / "config" / "jvm.options"
        lines = [line for line in jvm.read_text().splitlines() if "incubator.vector" not in line]
        jvm.write_text("\n".join(lines) + "\n")
        self._scratch.mkdir()
        if self._user:
            owner = pwd.getpwnam(self._user)
            for path in [self._folder, *self._folder.rglob("*")]:
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def _wait(self) -> None:
        assert self._process is not None
        until = time.monotonic() + _START_S
        while not _healthy(self.url):
            if self._process.poll() is not None or time.monotonic() > until:
                log = (self._folder / "console.log").read_text(errors="replace")[-2000:]
                self.close()
                pytest.fail(f"OpenSearch did not start:\n{log}", pytrace=False)
            time.sleep(0.2)


@pytest.fixture(scope="session")
def session_node() -> Iterator[OpenSearchNode]:
    """The session's one node of ours, which starts when the first test asks for it."""
    node = OpenSearchNode()
    try:
        node.start()
        yield node
    finally:
        node.close()


@pytest.fixture(scope="module")
def opensearch_node(session_node: OpenSearchNode) -> Iterator[OpenSearchNode]:
    """The session's node for tests that freeze and kill it; it is up again after the module.

    Its data survive, so other modules find theirs as they left them.
    """
    yield session_node
    session_node.start_again()


@pytest.fixture(scope="session")
def opensearch_url(request: pytest.FixtureRequest) -> str:
    """URL of an OpenSearch shared by the session's tests; each test has index names of its own."""
    if given := os.environ.get("INTERESTS_TEST_OPENSEARCH_URL"):
        if not _healthy(given):
            pytest.fail(f"INTERESTS_TEST_OPENSEARCH_URL: {given} does not answer", pytrace=False)
        return given
    node: OpenSearchNode = request.getfixturevalue("session_node")
    return node.url


@pytest.fixture
def index_name(opensearch_url: str) -> Iterator[str]:
    """A fresh name for an alias; what the test leaves behind it is deleted."""
    with own_index(opensearch_url) as name:
        yield name


@contextmanager
def own_index(url: str) -> Iterator[str]:
    """A fresh name for an alias; the indices whose names begin with it are deleted at the end."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    for index in call(f"{url}/{name}*"):
        call(f"{url}/{index}", "DELETE")


def call(url: str, method: str = "GET", body: object = None) -> dict[str, object]:
    """One request past the code under test, for a test to look or to interfere."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    with urlopen(Request(url, data, headers, method=method), timeout=30) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def _descriptor(module: Module) -> str:
    """What OpenSearch reads of a module that it was not distributed with."""
    return f"""\
description=A module that the plain distribution leaves out
name={module.name}
classname={module.plugin}
version={OPENSEARCH}
opensearch.version={OPENSEARCH}
java.version=21
extended.plugins=
has.native.controller=false
"""


def _healthy(url: str) -> bool:
    try:
        return call(f"{url}/_cluster/health")["status"] in {"green", "yellow"}
    except (URLError, OSError, ValueError):
        return False


def _group(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
