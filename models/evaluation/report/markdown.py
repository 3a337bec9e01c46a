"""A report as people read it: Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

SIMULATED = (
    "Users, signals and clicks are **simulated** over real articles: the figures tell systems "
    "apart and say nothing about real readers."
)
LOGGED = "Users and clicks are those of a reading log; nothing in it is simulated by this command."
_NO_MEASURES = frozenset({"name", "reading", "student"})


def markdown(report: Json, plots: Sequence[str]) -> str:
    """The whole report. `plots` are names of files beside it."""
    parts = [f"# Evaluation: {title(report)}", source_line(report)]
    parts.append(
        "L: the list alone. S: the list beside the user's newest 12 signals that it does not name, "
        f"each of weight {report['run']['own_weight']} where a query of the list weighs 1. "
        "P (logs only): S merged with the popular articles by ranks. Means over persons with 95 % "
        "bootstrap intervals."
    )
    parts.append(_systems(report))
    parts += [f"![{name}]({name})" for name in plots]
    if report["comparisons"]:
        parts += ["## Paired by person", _comparisons(report)]
    if report["lists"]:
        parts += ["## The lists themselves", _lists(report)]
    parts += ["## Recall@50 of a list alone, by number of signals", _by_signals(report)]
    parts += ["## What was evaluated", _pairs(report["data"]), "## This run", _pairs(report["run"])]
    if report["searches_cut_short"]:
        parts.append(f"{report['searches_cut_short']:,} searches found too few live articles.")
    return "\n\n".join(parts) + "\n"


def title(report: Json) -> str:
    """What was evaluated on what, in a line."""
    who = ", ".join(report["run"]["students"]) or "baselines"
    data = report["data"]
    if report["simulated"]:
        return f"{who}, {data['users']:,} simulated {data['split']} users ({data['mix']} mix)"
    return f"{who}, {data['measured']:,} impressions of {data['persons']:,} readers"


def source_line(report: Json) -> str:
    """Whether the users are real: it stands beside every figure."""
    return SIMULATED if report["simulated"] else LOGGED


def shown(interval: Json | None) -> str:
    """`0.097 [0.080, 0.114]`, ∞ where a ratio is."""
    if interval is None:
        return "–"
    mean, low, high = (
        "∞" if interval[name] is None else f"{interval[name]:.3f}"
        for name in ("mean", "low", "high")
    )
    return f"{mean} [{low}, {high}]"


def measures_of(report: Json) -> list[str]:
    """Names of the measures, in order."""
    return [name for name in report["systems"][0] if name not in _NO_MEASURES]


def _systems(report: Json) -> str:
    measures = measures_of(report)
    rows = [
        [one["name"], one["reading"], *(shown(one[name]) for name in measures)]
        for one in report["systems"]
    ]
    best = f"The best baseline alone, by Recall@50, is *{report['best_baseline']}*."
    return _table(["system", "reading", *measures], rows) + f"\n\n{best}"


def _comparisons(report: Json) -> str:
    rows = [
        [
            f"{one['system']} ({one['reading']})",
            f"{one['against']} ({one['against_reading']})",
            name,
            shown(one[name]["difference"]),
            shown(one[name]["ratio"]),
        ]
        for one in report["comparisons"]
        for name in measures_of(report)
        if name in one
    ]
    return _table(["system", "against", "measure", "difference", "ratio of means"], rows)


def _lists(report: Json) -> str:
    names = list(dict.fromkeys(name for one in report["lists"].values() for name in one))
    rows = [
        [who, *(f"{one[name]:.3g}" if name in one else "–" for name in names)]
        for who, one in report["lists"].items()
    ]
    return _table(["list", *names], rows)


def _by_signals(report: Json) -> str:
    rows = report["by_signals"]
    bins = {one["signals"]: (one["users"], one["cold"]) for one in rows}
    found = {(one["name"], one["signals"]): one["recall@50"] for one in rows}
    names = dict.fromkeys(one["name"] for one in rows)
    heads = [
        f"{label}{' (cold)' if cold else ''}, {users:,} users"
        for label, (users, cold) in bins.items()
    ]
    return _table(
        ["system", *heads],
        [[name, *(shown(found[name, label]) for label in bins)] for name in names],
    )


def _pairs(pairs: Json) -> str:
    return _table(["", ""], [[str(name), f"`{value}`"] for name, value in pairs.items()])


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(head)
    lines = [heads, ["---"] * len(heads), *map(list, rows)]
    return "\n".join("| " + " | ".join(_cell(one) for one in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
