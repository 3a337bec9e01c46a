"""The arithmetic of capacity beside what scenarios measured: what a plan rests on, checked.

Each prediction is of the very load that a scenario's results name, by costs that were measured
along the axes of a growth run, or that the page shows. Pure but for reading the files.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.box import SIMPLE_HEAD
from rich.table import Table

from loadtests.costs import HELD_SIGNALS, HELD_TOKENS, Costs, texts_of
from loadtests.rig.sides import CPU_MS, PER_S
from service.defaults import LIMIT, MAX_QUERIES, OWN_SIGNALS
from service.errors import ConfigurationError

SIMULATED_LINES = 2
"""Queries of a list of the engine simulator: it says eight words in turn, four a line."""
_GATEWAY, _DIRECT = "gateway", "direct"


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure as it was predicted and as it was measured."""

    scenario: str
    figure: str
    predicted: float
    measured: float


Data = Mapping[str, Any]
"""`data` of a result's file."""


def compared_with(path: Path, costs: Costs) -> list[Compared]:
    """What the arithmetic says of a scenario's load, beside what it measured.

    Empty for results of which it says nothing. Raises `ConfigurationError` for a file that is not
    there or holds no results, and for results of a checkout that did not write down their load.
    """
    try:
        whole = orjson.loads(path.read_bytes())
        name, data = whole["name"], whole["data"]
    except OSError as error:
        raise ConfigurationError(f"--check: {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"--check: {path} holds no results of a scenario") from error
    check = CHECKS.get(name)
    if check is None:
        return []
    try:
        return [Compared(name, *one) for one in check(data, costs)]
    except KeyError as error:
        raise ConfigurationError(
            f"--check: {path} does not say {error}: measure it again by this checkout"
        ) from error


def side_by_side(found: Iterable[Sequence[Compared]]) -> Table:
    """What was compared of every file, with the ratio of prediction to measurement."""
    heads = "scenario", "figure", "predicted", "measured", "predicted ÷ measured"
    table = Table(*heads, box=SIMPLE_HEAD, title="The arithmetic beside measurements")
    for one in itertools.chain.from_iterable(found):
        numbers = (one.predicted, one.measured, one.predicted / one.measured)
        table.add_row(one.scenario, one.figure, *(f"{number:,.3g}" for number in numbers))
    return table


Found = Iterator[tuple[str, float, float]]


def _reused(data: Data, costs: Costs) -> Found:
    asked = data["asked"]
    yield (
        CPU_MS,
        costs.reused(asked["limit"]),
        _median(data["turns"][_GATEWAY], CPU_MS),
    )


def _inline(data: Data, costs: Costs) -> Found:
    yield CPU_MS, _simulated_ms(data["asked"], costs), _median(data["turns"][_GATEWAY], CPU_MS)


def _added(data: Data, costs: Costs) -> Found:
    peak = statistics.median(turn["peak/s"] for turn in data["turns"][_GATEWAY])
    yield "peak, answers/s", 1000 / _simulated_ms(data["asked"], costs), peak


def _through(data: Data, costs: Costs) -> Found:
    asked, turns = data["asked"], data["saturated"]
    engine_s = asked["batch"] / (asked["tokens"] * asked["step_ms"] / 1000)
    gateway_s = min(engine_s, 1000 / _simulated_ms(asked, costs))
    yield "users/s directly", engine_s, _median(turns[_DIRECT], PER_S)
    yield "users/s by the gateway", gateway_s, _median(turns[_GATEWAY], PER_S)


def _growth(data: Data, costs: Costs) -> Found:
    texts = texts_of(MAX_QUERIES)
    at: dict[str, Callable[[float], float]] = {
        "signals": lambda size: costs.fresh(size, texts, HELD_TOKENS),
        "queries": lambda size: costs.fresh(HELD_SIGNALS, texts_of(size), HELD_TOKENS),
        "samples": lambda size: costs.fresh(HELD_SIGNALS, texts, HELD_TOKENS, size),
        "candidates": costs.reused,
    }
    for axis, predicted in at.items():
        points = data["axes"].get(axis, {}).get("figures", {}).get(CPU_MS, {})
        for size, values in points.items():
            yield f"{CPU_MS}, {size} {axis}", predicted(float(size)), statistics.median(values)


def _simulated_ms(asked: Data, costs: Costs) -> float:
    """CPU of an answer by a list that the engine simulator wrote of inline signals."""
    signals, tokens = float(asked["signals"]), float(asked["tokens"])
    texts = SIMULATED_LINES + min(OWN_SIGNALS, signals)
    inside = costs.embedded(asked["articles"]) if asked["index"] == "embedded" else 0.0
    return costs.fresh(signals, texts, tokens, 1, LIMIT) + texts * inside


def _median(turns: Sequence[Mapping[str, float]], name: str) -> float:
    return statistics.median([turn[name] for turn in turns])


CHECKS: dict[str, Callable[[Data, Costs], Found]] = {
    "reused": _reused,
    "inline": _inline,
    "added": _added,
    "through": _through,
    "growth": _growth,
}
"""By the name of the scenario's results."""
