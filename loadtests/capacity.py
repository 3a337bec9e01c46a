"""How many gateways, engines and stores a load takes: the arithmetic of docs/operating/sizing.md.

    python -m loadtests.capacity --requests-s 10000 --reused 0.9 --users 10000000
    python -m loadtests.capacity --costs loadtests/results/growth.json --requests-s 10000
    python -m loadtests.capacity --check loadtests/results/*.json

Prints the plan as a table, each number with the formula that it comes from; with `--markdown` also
the costs, as the page shows both. Costs are those of the page, or with `--costs` those of a run of
`python -m loadtests.growth`: best on machines like those that you will have. `--check` plans
nothing: it compares what the arithmetic says of the loads that other scenarios measured with what
they measured (`loadtests/capacity_check.py`). Pure but for the command itself.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtests.capacity_check import compared_with, side_by_side
from loadtests.capacity_load import INPUTS, Load, flag, require_sound
from loadtests.costs import MEASURED, Costs, read_costs, texts_of
from models.studies.script import run_script

GATEWAY_SHARE = 0.5
"""Of its core that a gateway is planned to use: the rest is for bursts and for one that is gone."""
ENGINE_SHARE = 0.8
"""Of its tokens a second that an engine is planned to write."""
MEMORY_SHARE = 0.8
"""Of `maxmemory` that is planned to be used."""
SPARE_ENGINES = 1
USER_BYTES, SIGNAL_BYTES, LIST_BYTES = 150, 62, 480
"""In Redis: by `python -m loadtests.sizes`."""
STREAM_BYTES = 500_000_000
"""The most that changes and exposures take in Redis (docs/operating/sizing.md)."""
FEEDBACK_BYTES = 280
WEEK_S = 7 * 86_400
"""How long a feedback event is known, `INTERESTS_EVENTS_DAYS`."""
VECTOR_BYTES = 1_536
REDIS_POOL = 64
"""Connections of a gateway to each node, `INTERESTS_REDIS_POOL`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a plan, and where it comes from."""

    name: str
    value: float
    unit: str
    formula: str

    @property
    def said(self) -> str:
        """The number with its unit: whole from 100 on, else three digits that tell something."""
        number = f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.3g}"
        return f"{number} {self.unit}".rstrip()


class Plan(dict[str, Row]):
    """Rows by name, in the order in which they follow from each other."""

    def add(self, name: str, value: float, unit: str, formula: str) -> float:
        """Add a row. Returns its value."""
        self[name] = Row(name, value, unit, formula)
        return value


def plan(load: Load, costs: Costs) -> Plan:
    """All numbers of a load. Raises `ValueError` for one that cannot be."""
    require_sound(load)
    found = Plan()
    texts = found.add("texts of a list", texts_of(load.queries), "", "queries + 12 own signals")
    new_s = found.add(
        "new lists", load.requests_s * (1 - load.reused), "/s", "requests × (1 - reused)"
    )
    gateways = _gateways(found, load, costs, texts, new_s)
    _engines(found, load, new_s, gateways)
    _redis(found, load, costs, gateways)
    _index(found, load, texts)
    return found


def _gateways(found: Plan, load: Load, costs: Costs, texts: float, new_s: float) -> float:
    inside = costs.embedded(load.articles) if load.embedded else 0.0
    more = texts * (inside + load.meaning_ms)
    sizes = load.signals, texts
    recent_ms = costs.reused(load.candidates)
    found.add("CPU, recent user", recent_ms, "ms", "own + candidates")
    kept_ms = costs.returning(*sizes, load.candidates) + more
    found.add("CPU, kept list", kept_ms, "ms", "own + signals + texts + candidates")
    new_ms = costs.fresh(*sizes, load.tokens, load.samples, load.candidates) + more
    found.add("CPU, new list", new_ms, "ms", "the same + tokens × samples")
    recent = load.reused * load.recent
    mean_ms = recent * recent_ms + (load.reused - recent) * kept_ms + (1 - load.reused) * new_ms
    found.add("CPU, a request", mean_ms, "ms", "the three by their shares")
    each_s = 1000 * GATEWAY_SHARE / mean_ms
    found.add("one gateway answers", each_s, "/s", f"1000 × {GATEWAY_SHARE} ÷ CPU of a request")
    gateways = math.ceil(load.requests_s / each_s)
    found.add("gateways", gateways, "", "requests ÷ what one answers, rounded up")
    in_work = new_s * load.list_s + (load.requests_s - new_s) * load.answer_s
    found.add("in work", in_work, "", "new × seconds of a list + the others × seconds of an answer")
    found.add("in work of a gateway", in_work / gateways, "", "in work ÷ gateways")
    return gateways


def _engines(found: Plan, load: Load, new_s: float, gateways: float) -> None:
    tokens_s = new_s * load.samples * load.tokens
    found.add("tokens written", tokens_s, "/s", "new × samples × tokens")
    engines = math.ceil(tokens_s / (load.engine_tokens_s * ENGINE_SHARE)) + SPARE_ENGINES
    formula = f"tokens ÷ ({ENGINE_SHARE} × an engine's), rounded up, + {SPARE_ENGINES}"
    found.add("engines", engines, "", formula)
    writing = new_s * load.samples * load.list_s / engines
    found.add("samples at an engine", writing, "", "new × samples × seconds of a list ÷ engines")
    window = max(1, math.ceil(load.engine_seqs / load.samples / gateways))
    found.add("window, at least", window, "", "max_num_seqs ÷ samples ÷ gateways, rounded up")


def _redis(found: Plan, load: Load, costs: Costs, gateways: float) -> None:
    user = USER_BYTES + load.signals * (SIGNAL_BYTES + load.text_bytes) + LIST_BYTES
    of_user = f"{USER_BYTES:,} + signals × ({SIGNAL_BYTES} + text) + {LIST_BYTES}"
    found.add("Redis, a user", user, "bytes", of_user)
    told = load.feedback_s * WEEK_S * FEEDBACK_BYTES
    data = (load.users * user + STREAM_BYTES + told) / 1e9
    formula = f"users × a user + 0.5 GB of streams + feedback of a week × {FEEDBACK_BYTES} bytes"
    found.add("Redis, data", data, "GB", formula)
    memory = data / MEMORY_SHARE
    found.add("Redis, maxmemory", memory, "GB", f"data ÷ {MEMORY_SHARE}; machines have twice that")
    cores = load.requests_s * costs.read_ms / 1000
    found.add("Redis, cores", cores, "", "requests × CPU of a read")
    nodes = math.ceil(max(memory / load.node_gb, cores / GATEWAY_SHARE))
    formula = f"the larger of maxmemory ÷ a node's and cores ÷ {GATEWAY_SHARE}, rounded up"
    found.add("Redis, nodes", nodes, "", formula)
    found.add("connections of a node", gateways * REDIS_POOL, "", f"gateways × {REDIS_POOL}")


def _index(found: Plan, load: Load, texts: float) -> None:
    if load.embedded:
        return
    data = load.articles * (load.article_bytes + VECTOR_BYTES) / 1e9
    found.add(
        "OpenSearch, data", data, "GB", f"articles × (their bytes + {VECTOR_BYTES:,}), a copy"
    )
    asked_s = load.requests_s * (1 - load.reused * load.recent)
    found.add("OpenSearch, calls", asked_s, "/s", "requests × (1 - reused × recent)")
    found.add("OpenSearch, searches", asked_s * texts, "/s", "calls × texts")


def costs_rows(costs: Costs) -> list[tuple[str, str]]:
    """Each cost as the page names it, and its milliseconds of CPU."""
    named = {
        "an answer by a kept list, to a recent user": costs.reused_ms,
        "an answer by a kept list, to another user": costs.returning_ms,
        "an answer by a new list": costs.fresh_ms,
        "a candidate": costs.candidate_ms,
        "a signal": costs.signal_ms,
        "a text searched": costs.query_ms,
        "a token of a sample": costs.token_ms,
        "a text in the embedded index, 10,000 articles": costs.embedded_ms,
        "a user read, of Redis": costs.read_ms,
    }
    return [(name, f"{value:.3g}") for name, value in named.items()]


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose second column is of numbers."""
    cells = [heads, ["---", "---:", "---"][: len(heads)], *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def shown(found: Plan, title: str) -> Table:
    """The plan as a table of the terminal."""
    table = Table("", "", "from", box=SIMPLE_HEAD, title=title, title_justify="left")
    table.columns[1].justify = "right"
    for row in found.values():
        table.add_row(row.name, row.said, row.formula)
    return table


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, of the command line unless given, plan or check, and print."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for one in INPUTS:
        told = f"{one.metadata['help']} ({one.default:,g})"
        cli.add_argument(flag(one.name), type=float, default=one.default, help=told)
    cli.add_argument("--embedded", action="store_true", help="gateways search, not OpenSearch")
    cli.add_argument("--costs", type=Path, help="growth.json of a whole run")
    cli.add_argument("--markdown", action="store_true", help="costs and plan, for a page")
    cli.add_argument("--check", type=Path, nargs="+", metavar="JSON", help="results of scenarios")
    chosen = cli.parse_args(argv)
    costs = MEASURED if chosen.costs is None else read_costs(chosen.costs)
    console = Console(width=130)
    if chosen.check:
        console.print(side_by_side([compared_with(path, costs) for path in chosen.check]))
        return
    load = Load(**{name: getattr(chosen, name) for name in Load.__dataclass_fields__})
    try:
        found = plan(load, costs)
    except ValueError as error:
        cli.error(str(error))
    if chosen.markdown:
        rows = [(row.name, row.said, row.formula) for row in found.values()]
        both = markdown(("cost", "ms"), costs_rows(costs)), markdown(("", "", "from"), rows)
        sys.stdout.write("\n\n".join(both) + "\n")
        return
    title = f"{load.requests_s:,.0f} requests/s, {load.reused:.0%} of them by kept lists"
    console.print(shown(found, title))


if __name__ == "__main__":
    run_script(main)
