"""How long commands and the gateway take to start, of this checkout and of another, in turns.

    python -m loadtests.startup --student .local/students/interests-small/9/student.yaml
    python -m loadtests.startup --student … --encoder … --against ../before --rounds 9

A real Redis, the embedded index with the demo's articles, and a simulated engine stand still while
processes are started one after the other, those of both checkouts in turns. Modules are compiled to
bytecode beforehand, as in the image; `--sources` compiles them anew in every process. Milliseconds
from the start of the process, medians over the rounds. "First request" is the gateway's first
answer after `/readyz` has said 200: what start leaves undone would show there.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from loadtests.local_gateway import HOST, environment_of
from models.demo.__main__ import write_demo
from service.manifest import load_manifest

_ROOT = Path(__file__).parents[1]
_USER = "maya"
_LIMIT_S = 60.0
_LOOK_S = 0.002
"""Between two looks: what a measured time may be too long by."""
_SERVED = "import service.app, service.commands.serve"


@dataclass(frozen=True, slots=True)
class Setup:
    """A checkout, the data folder that it has filled itself, and what it is started with."""

    name: str
    tree: Path
    folder: Path
    settings: Mapping[str, str]
    bytecode: Path | None

    @property
    def least(self) -> dict[str, str]:
        """The one setting without which no gateway starts."""
        name = "STUDENTS__MAIN__MANIFEST"
        return {name: self.settings[name]}

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Of a process of this checkout."""
        found = environment_of(self.tree, settings)
        found.pop("PYTHONDONTWRITEBYTECODE", None)
        found.pop("PYTHONPYCACHEPREFIX", None)
        if self.bytecode is None:
            found["PYTHONDONTWRITEBYTECODE"] = "1"
        else:
            found["PYTHONPYCACHEPREFIX"] = str(self.bytecode)
        return found

    def run(self, *words: str) -> float:
        """Milliseconds of a whole process of Python. Raises what it said where it fails."""
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment(self.settings),
            capture_output=True,
            text=True,
        )
        took = (time.perf_counter() - began) * 1000
        if done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(words)}: {done.stderr[-500:]}")
        return took


def commands(setup: Setup, port: int) -> dict[str, float]:
    """The commands that end by themselves; a gateway listens at the port."""
    url = f"http://{HOST}:{port}"
    return {
        "import what serve needs": setup.run("-c", _SERVED),
        "interests --help": setup.run("-m", "service", "--help"),
        "interests ask --help": setup.run("-m", "service", "ask", "--help"),
        "interests ask, first answer": setup.run("-m", "service", "ask", _USER, "--url", url),
        "interests ask, URL of the settings": setup.run("-m", "service", "ask", _USER),
    }


@contextmanager
def serving(setup: Setup, settings: Mapping[str, str]) -> Iterator[tuple[int, int, float]]:
    """`interests serve` for the block: its process, its port, and when it was started."""
    port, log = free_port(), setup.folder / "gateway.log"
    base = {"PORT": str(port), "DRAIN_DELAY_S": "0", "LOG_LEVEL": "error"}
    environment = setup.environment({**settings, **base})
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve"],
            cwd=setup.folder,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield process.pid, port, began
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_ok(port: int, path: str) -> float:
    """Ask until the answer is 200; the moment of it. Raises `RuntimeError` after a minute."""
    limit = time.perf_counter() + _LIMIT_S
    while time.perf_counter() < limit:
        try:
            if _answer(port, "GET", path)[0] == 200:
                return time.perf_counter()
        except OSError:
            pass  # nobody listens yet
        time.sleep(_LOOK_S)
    raise RuntimeError(f"{path} was not 200 within {_LIMIT_S:g} s")


def _answer(port: int, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=_LIMIT_S)
    try:
        connection.connect()
        assert connection.sock is not None
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def served(setup: Setup) -> dict[str, float]:
    """One start with all parts, and one with a student's files and nothing but defaults."""
    found: dict[str, float] = {}
    with serving(setup, setup.settings) as (pid, port, began):
        found["serve until /healthz"] = (until_ok(port, "/healthz") - began) * 1000
        found["serve until /readyz"] = (until_ok(port, "/readyz") - began) * 1000
        found["peak RSS when ready, MB"] = _peak_mb(pid)
        for name in ("first request", "second request"):
            asked = time.perf_counter()
            _answer(port, "POST", "/v1/interests", {"user_id": _USER})
            found[name] = (time.perf_counter() - asked) * 1000
    with serving(setup, setup.least) as (_, port, began):
        found["serve until /healthz, defaults"] = (until_ok(port, "/healthz") - began) * 1000
    return found


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def load(setup: Setup, articles: Path, signals: Path) -> None:
    """Fill the checkout's own index, in its own format, and Redis."""
    setup.run("-m", "service", "index", "load", str(articles))
    setup.run("-m", "service", "signals", "load", str(signals))


def report(found: Mapping[str, Sequence[Mapping[str, float]]]) -> Table:
    """Medians of each checkout, and the share of the other's that this one's is."""
    names = list(found)
    table = Table("milliseconds, medians", *names, box=SIMPLE_HEAD)
    if len(names) > 1:
        table.add_column("ratio")
    for what in found[names[0]][0]:
        medians = [statistics.median(one[what] for one in found[name]) for name in names]
        cells = [f"{median:.0f}" if median >= 100 else f"{median:.1f}" for median in medians]
        if len(names) > 1:
            cells.append(f"{medians[0] / medians[1]:.2f}")
        table.add_row(what, *cells)
    return table


def measure(chosen: argparse.Namespace, folder: Path) -> dict[str, list[dict[str, float]]]:
    """Start everything that stands still, then measure in turns."""
    children = Children(folder / "log")
    redis_port, engine_port, ask_port = free_port(), free_port(), free_port()
    model = load_manifest(chosen.student).key
    common = {
        "PORT": str(ask_port),
        "REDIS_URL": f"redis://{HOST}:{redis_port}/0",
        "STUDENTS__MAIN__MANIFEST": str(chosen.student.resolve()),
        "STUDENTS__MAIN__ENGINES": f'["http://{HOST}:{engine_port}"]',
    }
    trees = {"this": _ROOT}
    if chosen.against:
        trees["other"] = chosen.against.resolve()
    setups = []
    for name, tree in trees.items():
        own = folder / name
        own.mkdir()
        settings = {**common, "DATA_DIR": str(own)}
        if chosen.encoder and (name == "this" or chosen.encoder_for_both):
            settings["ENCODER__MANIFEST"] = str(chosen.encoder.resolve())
        setups.append(
            Setup(name, tree, own, settings, None if chosen.sources else folder / "bytecode")
        )
    found: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    try:
        children.start("redis", [redis_server(), "--port", str(redis_port), "--save", ""])
        simulator = ["-m", "loadtests.engine_simulator", "--port", str(engine_port)]
        fast = ["--step-ms", "1", "--model", model]
        children.start("engine", [sys.executable, *simulator, *fast], {"PYTHONPATH": str(_ROOT)})
        articles, signals = write_demo(folder / "demo")
        for setup in setups:
            load(setup, articles, signals)
        # One gateway answers the commands of both: what differs is the command.
        gateway = setups[0].environment({**setups[0].settings, "LOG_LEVEL": "error"})
        children.start("gateway", [sys.executable, "-m", "service", "serve"], gateway)
        until_ok(ask_port, "/readyz")
        for turn in range(chosen.rounds + 1):
            for setup in setups:
                seen = {**commands(setup, ask_port), **served(setup)}
                if turn:  # the first compiles, and fills the caches of the machine
                    found[setup.name].append(seen)
    finally:
        children.stop()
    return found


def main() -> None:
    """Read the arguments, measure, print a table."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--student", type=Path, required=True, help="a built student's student.yaml")
    cli.add_argument("--encoder", type=Path, help="a built encoder's encoder.yaml")
    cli.add_argument(
        "--encoder-for-both", action="store_true", help="the other checkout knows encoders, too"
    )
    cli.add_argument("--against", type=Path, help="another checkout, measured in turns with this")
    cli.add_argument("--rounds", type=int, default=9)
    cli.add_argument("--sources", action="store_true", help="without bytecode")
    chosen = cli.parse_args()
    if chosen.rounds < 1:
        cli.error("--rounds takes at least 1")
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(chosen, Path(scratch))
    Console(width=120).print(report(found))


if __name__ == "__main__":
    main()
