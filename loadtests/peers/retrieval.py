r"""From a user's signals to merged candidates: this gateway beside LangChain, Haystack, LlamaIndex.

    python -m loadtests.peers.retrieval
    python -m loadtests.peers.retrieval --index stub       # each one's own costs
    python -m loadtests.peers.retrieval --engine vllm --seconds 120 --max-tokens 128 \
        --student .local/students/smollm2-base/1/student.yaml

All ask the same engine for queries (a simulated one, or a student on vLLM), all search the same
OpenSearch with the demo's articles, by the same query of the same fields, so many hits of each
query, and all answer the same HTTP request, inline signals of users that no side has seen before,
with at most so many candidates. Each is one process on one core. Nothing is reused and no search is
kept. The gateway's further searches, for the user's own signals and by meaning, are off: they have
no counterpart. It still keeps lists and notes exposures in Redis, which the others do not do.

With vLLM the student should be the untrained base: one that is trained for the gateway's prompts
writes numbers of signals, which mean nothing to a peer. No model so small writes eight queries
because a prompt says so, so vLLM is told the shape of what it writes for the peers: eight lines, or
a schema of eight strings, which takes more tokens (`--max-tokens`) than the base is given by the
gateway. How many searches and tokens each user took is shown.

How each peer is written, and what it cannot express, stands in `loadtests/peers/apps`.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import httpx
import orjson

from deploy.local.processes import free_port
from loadtests.peers import stage
from loadtests.peers.processes import add_python, process, versions
from loadtests.raw_client import Reply
from loadtests.rig.loops import OK, Make, Request, answered
from loadtests.rig.machine import ROOT, describe
from loadtests.rig.parts import Parts, parts, wait_until_up
from loadtests.rig.plots import of_rounds
from loadtests.rig.results import Result, finish
from loadtests.rig.rounds import Figures, Measured, Side, in_turns
from loadtests.rig.script import flags, read, run
from loadtests.rig.sides import CORE, CPU_MS, GENERATOR, PER_S, closed_side
from models.demo.__main__ import write_demo
from service.manifest import load_manifest

OURS = "this gateway"
PEERS = {
    "langchain": ("langchain-classic", "langchain-core", "langchain-openai"),
    "haystack": ("haystack-ai", "opensearch-haystack"),
    "llama-index": ("llama-index-core", "llama-index-llms-openai-like"),
}
"""With the packages whose versions are shown."""
SEARCHES = "searches a user"
INDEX_MS = "index ms a user"
"""What OpenSearch says that it spent on a user's searches."""
CANDIDATES = "candidates"
TOKENS = "tokens a user"


def main() -> None:
    """Read the flags, measure in turns, write what was found."""
    cli = flags(__doc__, seconds=10)
    add_python(cli)
    cli.add_argument("--engine", choices=("simulator", "vllm"), default="simulator")
    cli.add_argument("--step-ms", type=float, default=0.0, help="of the simulator, for a token")
    cli.add_argument("--callers", type=int, default=8, help="users at once")
    cli.add_argument("--queries", type=int, default=8)
    cli.add_argument("--limit", type=int, default=100)
    cli.add_argument("--max-tokens", type=int, help="of a peer's list, if not the student's own")
    cli.add_argument("--index", choices=("opensearch", "stub"), default="opensearch")
    cli.add_argument("--opensearch", help="URL of a node that runs already")
    cli.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS))
    chosen = read(cli)
    found_versions = versions(chosen.python, [name for peer in PEERS.values() for name in peer])
    machine = describe()
    with parts() as here, stage.index_of(chosen, here) as (url, index):
        measured = _measure(chosen, here, url, index)
    finish(_result(chosen, measured, found_versions), machine, chosen.results)


def _measure(chosen: argparse.Namespace, here: Parts, url: str, index: str) -> Measured:
    folder = here.side_folder()
    articles, _ = write_demo(folder / "demo")
    settings = {"OPENSEARCH_URL": url, "INDEX_NAME": index, "REDIS_URL": f"{here.redis()}0"}
    if chosen.index == "opensearch":
        here.load(ROOT, {**settings, "DATA_DIR": str(folder)}, "index", articles)
    bodies = stage.bodies_of(chosen.limit, chosen.queries)
    with ExitStack() as stack:
        engine = stack.enter_context(stage.engine_of(chosen, here, articles))
        gateway = here.gateway(ROOT, folder, stage.settings_of(chosen, settings, engine))
        wait_until_up(gateway, "student", "index", "redis")
        ports = {OURS: (gateway.port, gateway.process.pid)}
        for name in chosen.only:
            port = free_port()
            command = stage.command_of(chosen, name, port, engine, url, index)
            peer = stack.enter_context(process(here, name, command, port, health="/healthz"))
            ports[name] = (peer.port, peer.pid)
        sides = [
            _side(chosen, name, port, pid, itertools.cycle(bodies), url, index, engine)
            for name, (port, pid) in ports.items()
        ]
        return in_turns(sides, chosen.rounds)


def _side(
    chosen: argparse.Namespace,
    name: str,
    port: int,
    pid: int,
    bodies: Iterator[bytes],
    url: str,
    index: str,
    engine: str,
) -> Side:
    """A system that is asked in a closed loop, with what it asked of index and engine."""
    counts: list[int] = []

    def judge(reply: Reply) -> str:
        said = answered(reply)
        if said != OK:
            return said
        answer = orjson.loads(reply.body)
        counts.append(len(answer["candidates"]))
        return fresh(answer) if name == OURS else OK

    make: Make = lambda _: Request(next(bodies))  # noqa: E731
    asked = closed_side(
        name, port, make, callers=chosen.callers, seconds=chosen.seconds, judge=judge, pid=pid
    )

    def turn() -> Figures:
        counts.clear()
        before = _asked_of(chosen, url, index, engine)
        figures = asked.turn()
        after = _asked_of(chosen, url, index, engine)
        used = {name: (after[name] - before[name]) / len(counts) for name in before}
        return {**figures, **used, CANDIDATES: statistics.fmean(counts)}

    return Side(name, turn)


def fresh(answer: Mapping[str, Mapping[str, str]]) -> str:
    """`OK` where the gateway's answer was written and searched for this request; else its rungs."""
    source = answer["source"]
    if source == {"queries": "fresh", "candidates": "search"}:
        return OK
    return f"{source['queries']} queries, {source['candidates']} candidates"


def _asked_of(chosen: argparse.Namespace, url: str, index: str, engine: str) -> dict[str, float]:
    """What index and engine have done until now. Stubs do not say."""
    found: dict[str, float] = {}
    if chosen.index == "opensearch":
        found |= _searched(url, index)
    if chosen.engine == "vllm":
        found[TOKENS] = _tokens(engine)
    return found


def _searched(url: str, index: str) -> dict[str, float]:
    """Searches that the index has answered, each of those in one call counted, and their time."""
    stats = httpx.get(f"{url}/{index}/_stats/search", timeout=30).json()
    found = stats["_all"]["primaries"]["search"]
    spent = found["query_time_in_millis"] + found["fetch_time_in_millis"]
    return {SEARCHES: found["query_total"], INDEX_MS: spent}


def _tokens(engine: str) -> float:
    """Tokens that vLLM has written."""
    lines = httpx.get(f"{engine}/metrics", timeout=30).text.splitlines()
    made = [line for line in lines if line.startswith("vllm:generation_tokens_total")]
    return sum(float(line.rpartition(" ")[2]) for line in made)


def _result(
    chosen: argparse.Namespace, measured: Measured, found_versions: Mapping[str, str]
) -> Result:
    shown: list[tuple[str, int]] = [(PER_S, 1), ("p50 ms", 0), ("p95 ms", 0), (CPU_MS, 1)]
    shown += [(SEARCHES, 1), (INDEX_MS, 0), (TOKENS, 0), (CANDIDATES, 0)]
    shown += [(CORE, 2), (GENERATOR, 2)]
    shown = [(name, digits) for name, digits in shown if name in measured.names]
    cells: Callable[[str], Sequence[str]] = lambda side: [  # noqa: E731
        *(measured.spread(side, name).said(digits) for name, digits in shown),
        measured.ratio(side, OURS, PER_S).said(),
    ]
    told = ", ".join(f"{name} {version}" for name, version in found_versions.items())
    student = load_manifest(chosen.student).key
    engine = f"{student} on vLLM" if chosen.engine == "vllm" else "a simulated engine"
    over = "OpenSearch" if chosen.index == "opensearch" else "a stub for an index"
    return Result(
        name=f"peers-retrieval-{chosen.engine}-{chosen.index}",
        title=f"Signals to candidates, {chosen.callers} users at once: {engine}, {over}",
        heads=["", *(name for name, _ in shown), f"{PER_S}, to {OURS}"],
        rows=[[side, *cells(side)] for side in measured.sides],
        data={"turns": measured.turns, "versions": found_versions},
        said=[
            f"Median (lowest to highest) of {chosen.rounds} rounds of {chosen.seconds:g} s. {told}."
        ],
        draw=of_rounds(measured, PER_S),
    )


if __name__ == "__main__":
    run(main)
