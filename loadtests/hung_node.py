"""What an answer costs while one of two index nodes is silent, beside the same with both well.

    python -m loadtests.hung_node --student .local/students/interests-small/9/student.yaml
    python -m loadtests.hung_node --student … --opensearch http://127.0.0.1:9200 --against ../before

A real gateway over a real Redis and a real OpenSearch, on loopback, with no engine (every list is
the heuristic's). One caller asks for one user after the other, of three gateways in turns: one
knows the node by one URL; one by two (`127.0.0.1` and `localhost`), so that both are
well; for one the second URL is a socket that accepts and stays silent. The first four answers after
a start are shown apart from those behind them. The last column is the median beside that with both
well. Without `--opensearch` a node is started as the tests do it; the alias is one of the script's
own, and its index is deleted at the end.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from loadtests.crowd import load_demo
from loadtests.local_gateway import HOST, local_gateway
from tests.parts.opensearch import OpenSearchNode, own_index

T = TypeVar("T")

_ROOT = Path(__file__).parents[1]
_FIRST = 4


@dataclass(slots=True)
class Seen:
    """The answers of one kind of gateway."""

    first_s: list[float] = field(default_factory=list)
    """Of the first four after each start."""
    times_s: list[float] = field(default_factory=list)
    """Of all behind them."""
    lower: Counter[str] = field(default_factory=Counter)
    """Answers whose candidates are popular ones, and refusals, by reason."""

    @property
    def median_s(self) -> float:
        """Of those behind the first four."""
        return float(np.median(self.times_s))


@contextmanager
def silent_socket() -> Iterator[str]:
    """The URL of a socket that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def ask(
    clients: Sequence[tuple[httpx.Client, Seen]], users: Sequence[str], deadline_ms: int
) -> None:
    """Ask every gateway for each user once, one after the other."""
    for number, user in enumerate(users):
        for client, seen in _turned(clients, number):
            body = {"user_id": user, "timeout_ms": deadline_ms}
            began = time.perf_counter()
            answer = client.post("/v1/interests", json=body)
            took = time.perf_counter() - began
            (seen.first_s if number < _FIRST else seen.times_s).append(took)
            if answer.status_code != 200:
                seen.lower[str(answer.status_code)] += 1
            elif answer.json()["source"]["candidates"] != "search":
                seen.lower[answer.json()["degraded"][-1]] += 1


def main() -> None:
    """Read the arguments, measure in turns, print a table."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--student", type=Path, required=True, help="a built student's student.yaml")
    cli.add_argument("--opensearch", help="URL with 127.0.0.1 of a node that runs already")
    cli.add_argument("--deadline-ms", type=int, default=2000)
    cli.add_argument("--users", type=int, default=30, help="asked of each gateway")
    cli.add_argument("--rounds", type=int, default=5)
    cli.add_argument("--against", type=Path, help="another checkout, measured in turns with this")
    chosen = cli.parse_args()
    if chosen.opensearch:
        _measure(chosen, chosen.opensearch)
        return
    node = OpenSearchNode()
    try:
        node.start()
        _measure(chosen, node.url)
    finally:
        node.close()


def _measure(chosen: argparse.Namespace, node: str) -> None:
    trees = [_ROOT, *([chosen.against.resolve()] if chosen.against else [])]
    with (
        tempfile.TemporaryDirectory() as scratch,
        silent_socket() as silent,
        own_index(node) as alias,
    ):
        folder, redis_port = Path(scratch), free_port()
        twice = f"{node},{node.replace('127.0.0.1', 'localhost')}"
        kinds = {"one node": node, "two well": twice, "one of two silent": f"{node},{silent}"}
        children = Children(folder / "log")
        children.start("redis", [redis_server(), "--port", str(redis_port), "--save", ""])
        try:
            index = {"OPENSEARCH_URL": node, "INDEX_NAME": alias}
            parts = {
                "REDIS_URL": f"redis://{HOST}:{redis_port}/0",
                "STUDENTS__MAIN__MANIFEST": str(chosen.student.resolve()),
            }
            users = load_demo(folder, redis_port, index)[: chosen.users]
            seen = {(tree, kind): Seen() for tree in trees for kind in kinds}
            for turn in range(chosen.rounds):
                with ExitStack() as running:
                    clients = []
                    for number, ((tree, kind), found) in enumerate(seen.items()):
                        place = folder / f"{turn}-{number}"
                        place.mkdir()
                        settings = {**index, **parts, "OPENSEARCH_URL": kinds[kind]}
                        one = running.enter_context(local_gateway(tree, place, settings))
                        client = httpx.Client(base_url=one.url, timeout=60)
                        clients.append((running.enter_context(client), found))
                    ask(clients, users, chosen.deadline_ms)
        finally:
            children.stop()
    _show(seen)


def _turned(items: Sequence[T], turn: int) -> list[T]:
    """Another order each turn, so that none always comes first."""
    start = turn % len(items)
    return [*items[start:], *items[:start]]


def _show(seen: dict[tuple[Path, str], Seen]) -> None:
    heads = ("code", "nodes", "first 4, worst ms", "p50 ms", "p95 ms", "not from a search")
    table = Table(*heads, "beside both well", box=SIMPLE_HEAD)
    for (tree, kind), found in seen.items():
        answers = len(found.first_s) + len(found.times_s)
        reasons = ", ".join(f"{reason} {count}" for reason, count in found.lower.items())
        table.add_row(
            "this" if tree == _ROOT else "the other",
            kind,
            f"{max(found.first_s) * 1000:.0f}",
            f"{found.median_s * 1000:.1f}",
            f"{np.percentile(found.times_s, 95) * 1000:.1f}",
            f"{sum(found.lower.values())} of {answers} {reasons}",
            f"{found.median_s / seen[tree, 'two well'].median_s:.2f}",
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
