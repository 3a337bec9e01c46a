"""A report as people read it: Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.defaults import OWN_SIGNALS

Json = Mapping[str, Any]

SIMULATED = (
    "Users, signals and clicks are **simulated** over real articles: the figures tell systems "
    "apart and say nothing about real readers."
)
INVENTED = (
    "Users and articles are those of the demo, **invented** from one end to the other: the figures "
    "tell systems apart and say nothing about real readers."
)
LOGGED = "Users and clicks are those of a reading log; nothing in it is simulated by this command."
BESIDE_POPULARITY = ("recall@50", "auc")
"""What a log's systems are set beside popularity by."""
ABLATION = (
    "S as it is served, and with one part switched off at a time; what a part brings is the paired "
    "difference, above 0 where it helps. Near-duplicates are switched off as far as the setting "
    "goes: titles of the same words still count as one story."
)
SEARCHED, ABLATED = ("recall@50", "auc"), ("recall@50", "ndcg@50")
"""The measures that are shown of these two; all are in report.json."""
_NO_MEASURES = frozenset({"name", "reading", "student"})


def searched(report: Json) -> str:
    """How queries were searched."""
    if encoder := report["run"].get("encoder"):
        return f"Queries were searched by words and by meaning ({encoder})."
    return "Queries were searched by words alone."


def markdown(report: Json, plots: Sequence[str]) -> str:
    """The whole report. `plots` are names of files beside it."""
    parts = [f"# Evaluation: {title(report)}", source_line(report)]
    parts.append(
        f"L: the list alone. S: the list beside the user's newest {OWN_SIGNALS} signals that it "
        f"does not name, each of weight {report['run']['own_weight']} where a query of the list "
        "weighs 1. P (logs only): S with popularity. Means over persons "
        f"with 95 % bootstrap intervals. {searched(report)}"
    )
    parts.append(_systems(report))
    parts += [f"![{name}]({name})" for name in plots]
    if report["comparisons"]:
        parts += ["## Paired by person", _comparisons(report)]
    if report["beside_popularity"]:
        parts += ["## Beside popularity", _beside_popularity(report)]
    if report["searched_by"]:
        parts += ["## By words, by meaning, and by both", _searched_by(report)]
    if report["ablations"]:
        parts += ["## What each part brings", ABLATION, _ablations(report)]
    if report["lists"]:
        parts += ["## The lists themselves", _lists(report)]
    parts += ["## Recall@50 of a list alone, by number of signals", _by_signals(report)]
    parts += [
        "## What was evaluated",
        pairs_table(report["data"]),
        "## This run",
        pairs_table(report["run"]),
    ]
    if report["searches_cut_short"]:
        parts.append(f"{report['searches_cut_short']:,} searches found too few live articles.")
    return "\n\n".join(parts) + "\n"


def title(report: Json) -> str:
    """What was evaluated on what, in a line."""
    who = ", ".join(report["run"]["students"]) or "baselines"
    data = report["data"]
    if report["simulated"] and "mix" not in data:
        return f"{who}, {data['users']:,} readers of the demo"
    if report["simulated"]:
        return f"{who}, {data['users']:,} simulated {data['split']} users ({data['mix']} mix)"
    return f"{who}, {data['measured']:,} impressions of {data['persons']:,} readers"


def source_line(report: Json) -> str:
    """Whether the users are real: it stands beside every figure."""
    if not report["simulated"]:
        return LOGGED
    return SIMULATED if "mix" in report["data"] else INVENTED


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
        [system["name"], system["reading"], *(shown(system[name]) for name in measures)]
        for system in report["systems"]
    ]
    best = f"The best baseline alone, by Recall@50, is *{report['best_baseline']}*."
    return table(["system", "reading", *measures], rows) + f"\n\n{best}"


def _comparisons(report: Json) -> str:
    rows = [
        [
            f"{pair['system']} ({pair['reading']})",
            f"{pair['against']} ({pair['against_reading']})",
            name,
            shown(pair[name]["difference"]),
            shown(pair[name]["ratio"]),
        ]
        for pair in report["comparisons"]
        for name in measures_of(report)
        if name in pair
    ]
    return table(["system", "against", "measure", "difference", "ratio of means"], rows)


def _beside_popularity(report: Json) -> str:
    rows = [
        [
            f"{row['name']} ({row['reading']})",
            *(shown(row[name]) for name in BESIDE_POPULARITY),
            *(
                shown(row["against_popularity"].get(name, {}).get("difference"))
                for name in BESIDE_POPULARITY
            ),
        ]
        for row in report["beside_popularity"]
    ]
    names = list(BESIDE_POPULARITY)
    return table(["system", *names, *(f"{name} − popularity's" for name in names)], rows)


def _searched_by(report: Json) -> str:
    rows = [
        [
            f"{row['name']} ({row['reading']})",
            name,
            *(shown(row["by"][kind][name]) for kind in ("words", "meaning", "both")),
            shown(row["both_against_words"][name]["difference"]),
            shown(row["both_against_words"][name]["ratio"]),
        ]
        for row in report["searched_by"]
        for name in SEARCHED
        if name in row["both_against_words"]
    ]
    heads = ["system", "measure", "words", "meaning", "both", "both − words", "both / words"]
    return table(heads, rows)


def _ablations(report: Json) -> str:
    rows = [
        [
            part["part"],
            row["name"],
            name,
            shown(row["as_served"][name]),
            shown(part["without"][name]),
            shown(found["difference"]),
        ]
        for row in report["ablations"]
        for part in row["parts"]
        for name, found in part["brings"].items()
        if name in ABLATED
    ]
    return table(["without", "list", "measure", "as served", "without it", "it brings"], rows)


def _lists(report: Json) -> str:
    names = list(dict.fromkeys(name for found in report["lists"].values() for name in found))
    rows = [
        [system, *(f"{found[name]:.3g}" if name in found else "–" for name in names)]
        for system, found in report["lists"].items()
    ]
    return table(["list", *names], rows)


def _by_signals(report: Json) -> str:
    rows = report["by_signals"]
    bins = {row["signals"]: (row["users"], row["cold"]) for row in rows}
    found = {(row["name"], row["signals"]): row["recall@50"] for row in rows}
    names = dict.fromkeys(row["name"] for row in rows)
    heads = [
        f"{label}{' (cold)' if cold else ''}, {users:,} users"
        for label, (users, cold) in bins.items()
    ]
    return table(
        ["system", *heads],
        [[name, *(shown(found[name, label]) for label in bins)] for name in names],
    )


def pairs_table(pairs: Json) -> str:
    """A table of names and what they are."""
    return table(["", ""], [[str(name), f"`{value}`"] for name, value in pairs.items()])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown."""
    heads = list(head)
    lines = [heads, ["---"] * len(heads), *map(list, rows)]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
