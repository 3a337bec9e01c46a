"""How many gateways, engines and stores a load takes: the arithmetic of docs/operating/sizing.md.

    python -m loadtests.capacity --requests-s 10000 --reused 0.9 --users 10000000
    python -m loadtests.capacity --costs loadtests/results/growth.json --requests-s 10000
    python -m loadtests.capacity --check loadtests/results/*.json

Prints the plan as a table, each number with the formula that it comes from. Costs are those that
the page shows, or with `--costs` those of a run of `python -m loadtests.growth`: best on machines
like those that you will have. `--check` plans nothing: it compares what the arithmetic says of the
loads that other scenarios measured with what they measured (`loadtests/capacity_check.py`).
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field, fields
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtests.capacity_check import compared_with, side_by_side
from loadtests.costs import MEASURED, Costs, read_costs, texts_of
from models.studies.script import run_script

GATEWAY_SHARE = 0.5
"""Of its core that a gateway is planned to use: the rest is for bursts and for one that is gone."""
ENGINE_SHARE = 0.8
"""Of its tokens a second that an engine is planned to write."""
MEMORY_SHARE = 0.8
"""Of `maxmemory` that is planned to be used."""
USER_BYTES, SIGNAL_BYTES, LIST_BYTES = 1_000, 135, 630
"""Of Redis: by `python -m loadtests.sizes`."""
STREAM_BYTES = 500_000_000
"""The most that changes, exposures and feedback take (docs/operating/sizing.md)."""
VECTOR_BYTES = 1_536
REDIS_POOL = 64
"""Connections of a gateway to each node, `INTERESTS_REDIS_POOL`."""
_SPARE = 1


def _input(default: float, help_: str) -> float:
    """A number of a load, with the help of its flag."""
    found: float = field(default=default, metadata={"help": help_})
    return found


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the service, and how quick its engines are. Each is a flag."""

    requests_s: float = _input(10_000, "requests a second, in the busiest hour")
    reused: float = _input(0.9, "share of them that a kept list answers")
    results_kept: float = _input(
        0.0, "share of the searched texts whose results a gateway still keeps"
    )
    tokens: float = _input(32, "tokens that the student writes for a sample")
    samples: float = _input(1, "samples of a list: `decoding.n` of the manifest")
    queries: float = _input(8, "queries of a list")
    candidates: float = _input(100, "candidates of an answer")
    signals: float = _input(50, "signals kept of a user, on average")
    text_bytes: float = _input(31, "bytes of a signal's text, on average")
    users: float = _input(10_000_000, "users who did something within INTERESTS_SIGNALS_TTL_DAYS")
    articles: float = _input(1_000_000, "articles in the index")
    article_bytes: float = _input(3_000, "bytes of an article in OpenSearch, without its vector")
    list_s: float = _input(0.2, "seconds that a new list takes")
    answer_s: float = _input(0.006, "seconds that an answer by a kept list takes")
    engine_tokens_s: float = _input(8_018, "tokens a second of one engine, prompts included")
    engine_seqs: float = _input(50, "samples that it writes at once at that rate")
    node_gb: float = _input(25, "memory of a Redis node that you want to have, GB")
    embedded: bool = False
    """The gateways search themselves, instead of OpenSearch."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a plan, and where it comes from."""

    name: str
    value: float
    unit: str
    formula: str

    def said(self) -> str:
        """The number with its unit: whole above 100, else with two digits that tell something."""
        number = f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.3g}"
        return f"{number} {self.unit}".rstrip()


def plan(load: Load, costs: Costs) -> dict[str, Row]:
    """All numbers by name, in the order in which they follow from each other.

    Raises `ValueError` for shares outside of 0 to 1 and amounts below 0 (0 for a rate's divisor).
    """
    _require_sound(load)
    found: dict[str, Row] = {}

    def row(name: str, value: float, unit: str, formula: str) -> float:
        found[name] = Row(name, value, unit, formula)
        return value

    texts = row("texts of a list", texts_of(load.queries), "", "queries + 12 own signals")
    searched = texts * (1 - load.results_kept)
    fresh_s = row("new lists", load.requests_s * (1 - load.reused), "/s", "requests × (1 - reused)")
    searches_s = row(
        "texts searched", load.requests_s * searched, "/s", "requests × texts × (1 - results kept)"
    )
    inside = costs.embedded(load.articles) if load.embedded else 0.0
    shared = searched * inside
    reused_ms = row(
        "CPU, kept list",
        costs.reused(load.signals, searched, load.candidates) + shared,
        "ms",
        "own + signals + texts searched + candidates",
    )
    fresh_ms = row(
        "CPU, new list",
        costs.fresh(load.signals, searched, load.tokens, load.samples, load.candidates) + shared,
        "ms",
        "own + signals + tokens × samples + texts searched + candidates",
    )
    mean_ms = row(
        "CPU, a request",
        load.reused * reused_ms + (1 - load.reused) * fresh_ms,
        "ms",
        "reused × kept + (1 - reused) × new",
    )
    pod_s = row(
        "one gateway answers", 1000 * GATEWAY_SHARE / mean_ms, "/s", f"1000 × {GATEWAY_SHARE} ÷ CPU"
    )
    gateways = row(
        "gateways", math.ceil(load.requests_s / pod_s), "", "requests ÷ one gateway's, rounded up"
    )
    in_work = row(
        "requests in work",
        fresh_s * load.list_s + (load.requests_s - fresh_s) * load.answer_s,
        "",
        "new × list s + kept × answer s",
    )
    row("in work of one gateway", in_work / gateways, "", "÷ gateways: inFlightPerReplica")
    tokens_s = row(
        "tokens written", fresh_s * load.samples * load.tokens, "/s", "new × samples × tokens"
    )
    writing = math.ceil(tokens_s / (load.engine_tokens_s * ENGINE_SHARE))
    engines = row(
        "engines", writing + _SPARE, "", f"tokens ÷ ({ENGINE_SHARE} × an engine's) + {_SPARE}"
    )
    row(
        "calls at an engine",
        fresh_s * load.samples * load.list_s / engines,
        "",
        "new × samples × list s ÷ engines: below max_num_seqs",
    )
    row(
        "window",
        max(1, math.ceil(load.engine_seqs / load.samples / gateways)),
        "",
        "max_num_seqs ÷ samples ÷ gateways, 1 or more",
    )
    user = USER_BYTES + load.signals * (SIGNAL_BYTES + load.text_bytes) + LIST_BYTES
    redis = row(
        "Redis, data",
        (load.users * user + STREAM_BYTES) / 1e9,
        "GB",
        f"users × ({USER_BYTES} + signals × ({SIGNAL_BYTES} + text) + {LIST_BYTES}) + streams",
    )
    row("Redis, maxmemory", redis / MEMORY_SHARE, "GB", f"÷ {MEMORY_SHARE}; the machines twice it")
    reads = row(
        "Redis, cores",
        load.requests_s * costs.read_ms / 1000,
        "",
        "requests × CPU of a read; a node has one",
    )
    row(
        "Redis, nodes",
        math.ceil(max(redis / MEMORY_SHARE / load.node_gb, reads / GATEWAY_SHARE)),
        "",
        "the larger of memory ÷ a node's and cores ÷ 0.5; each with a replica",
    )
    row("connections of a Redis node", gateways * REDIS_POOL, "", f"gateways × {REDIS_POOL}")
    row(
        "OpenSearch, data",
        0.0 if load.embedded else load.articles * (load.article_bytes + VECTOR_BYTES) / 1e9,
        "GB",
        "articles × (their bytes + a vector), for each copy",
    )
    row("OpenSearch, searches", 0.0 if load.embedded else searches_s, "/s", "all texts searched")
    return found


def shown(found: dict[str, Row], title: str) -> Table:
    """The plan as a table."""
    table = Table("", "", "from", box=SIMPLE_HEAD, title=title, title_justify="left")
    table.columns[1].justify = "right"
    for one in found.values():
        table.add_row(one.name, one.said(), one.formula)
    return table


def _require_sound(load: Load) -> None:
    for name in ("reused", "results_kept"):
        if not 0 <= getattr(load, name) <= 1:
            raise ValueError(f"--{name.replace('_', '-')} is a share, from 0 to 1")
    free = ("reused", "results_kept", "embedded", "users", "articles", "signals", "candidates")
    for one in fields(load):
        value = getattr(load, one.name)
        if value < 0 or (value == 0 and one.name not in free):
            raise ValueError(f"--{one.name.replace('_', '-')} takes more than 0")


def main() -> None:
    """Read the flags, plan or check, and print."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for one in fields(Load):
        name = f"--{one.name.replace('_', '-')}"
        if one.name != "embedded":
            told = f"{one.metadata['help']} ({one.default:,g})"
            cli.add_argument(name, type=float, default=one.default, help=told)
    cli.add_argument("--embedded", action="store_true", help="gateways search, not OpenSearch")
    cli.add_argument("--costs", type=Path, help="growth.json of a whole run")
    cli.add_argument("--check", type=Path, nargs="+", metavar="JSON", help="results of scenarios")
    chosen = cli.parse_args()
    costs = MEASURED if chosen.costs is None else read_costs(chosen.costs)
    console = Console(width=130)
    if chosen.check:
        console.print(side_by_side([compared_with(path, costs) for path in chosen.check]))
        return
    load = Load(**{one.name: getattr(chosen, one.name) for one in fields(Load)})
    try:
        found = plan(load, costs)
    except ValueError as error:
        cli.error(str(error))
    console.print(
        shown(found, f"{load.requests_s:,.0f} requests/s, {load.reused:.0%} by kept lists")
    )


if __name__ == "__main__":
    run_script(main)
