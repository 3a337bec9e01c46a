"""An answer of `POST /v1/interests` for human eyes: signals → queries → candidates, and timings."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

_STAGES = ("signals", "generate", "retrieve", "fuse", "total")


def answer_view(answer: dict[str, Any], *, signals: int = 8, candidates: int = 10) -> Group:
    """Lay the JSON of an answer (asked with `explain`) out as tables, newest signals last."""
    parts: list[RenderableType] = [_headline(answer)]
    shown = answer.get("signals") or []
    if shown:
        parts.append(_signals(shown, signals))
    if answer["queries"]:
        parts.append(_queries(answer["queries"]))
    parts.append(_candidates(answer["candidates"], candidates))
    parts.append(_timings(answer["timings_ms"]))
    return Group(*parts)


def print_answer(console: Console, answer: dict[str, Any]) -> None:
    """Print the view."""
    console.print(answer_view(answer))


def _headline(answer: dict[str, Any]) -> Text:
    source = answer["source"]
    student = answer["student"]
    text = Text.assemble(
        ("user ", "dim"),
        (answer["user_id"], "bold"),
        ("   student ", "dim"),
        f"{student['name']}@{student['version']}",
        ("   queries ", "dim"),
        (source["queries"], "green" if source["queries"] in ("fresh", "reused") else "yellow"),
        ("   candidates ", "dim"),
        (source["candidates"], "green" if source["candidates"] == "search" else "yellow"),
    )
    if answer["experiments"]:
        text.append("   experiments ", "dim")
        text.append(", ".join(map(_place, answer["experiments"])))
    if answer["degraded"]:
        text.append("   degraded ", "dim")
        text.append(", ".join(answer["degraded"]), "yellow")
    return text


def _place(place: dict[str, Any]) -> str:
    """A user's arm, and what was served where that is another thing."""
    served = "" if place["served"] == place["assigned"] else f" (served {place['served']})"
    return f"{place['key']}: {place['assigned']}{served}"


def _table(title: str, *columns: Column) -> Table:
    """A table whose words go on in the next line where a terminal is narrow; none is cut."""
    for column in columns:
        column.overflow = "fold"
    return Table(
        *columns, title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1)
    )


def _signals(shown: list[dict[str, Any]], newest: int) -> Table:
    table = _table(
        f"Signals (the newest {min(newest, len(shown))} of {len(shown)} that were used)",
        Column("#", justify="right", style="dim", no_wrap=True),
        Column("when", style="dim", no_wrap=True),
        Column("domain", style="cyan", no_wrap=True),
        Column("text"),
    )
    for number, signal in list(enumerate(shown))[-newest:]:
        when = signal["at"][:16].replace("T", " ")
        table.add_row(str(number), when, signal["domain"], Text(signal["text"]))
    return table


def _queries(queries: list[dict[str, Any]]) -> Table:
    table = _table(
        "Queries",
        Column("#", justify="right", style="dim", no_wrap=True),
        Column("by", style="cyan", no_wrap=True),
        Column("weight", justify="right", no_wrap=True),
        Column("hits", justify="right", no_wrap=True),
        Column("near", justify="right", no_wrap=True),
        Column("text"),
        Column("stems from", style="dim", max_width=12),
    )
    for number, query in enumerate(queries):
        table.add_row(
            str(number),
            query["origin"],
            f"{query['weight']:.2f}",
            str(query["hits"]),
            str(query["near"]),
            Text(query["text"]),
            " ".join(f"#{place}" for place in query.get("stems_from") or ()),
        )
    return table


def _candidates(candidates: list[dict[str, Any]], first: int) -> Table:
    table = _table(
        f"Candidates (the first {min(first, len(candidates))} of {len(candidates)})",
        Column("", justify="right", style="dim", no_wrap=True),
        Column("score", justify="right", no_wrap=True),
        Column("published", style="dim", no_wrap=True),
        Column("category", style="cyan", max_width=12),
        Column("title"),
        Column("found by", style="dim", max_width=12),
    )
    for rank, candidate in enumerate(candidates[:first], 1):
        table.add_row(
            str(rank),
            f"{candidate['score']:.4f}",
            (candidate["published"] or "")[:10],
            candidate["category"],
            Text(candidate["title"]),
            _found_by(candidate),
        )
    return table


def _found_by(candidate: dict[str, Any]) -> str:
    """The queries that found it, by their numbers; "popular" where none did."""
    found = " ".join(f"#{index}" for index in candidate["matched_queries"])
    return found if candidate["origin"] == "search" else candidate["origin"]


def _timings(timings: dict[str, float]) -> Text:
    text = Text("Timings ", "bold")
    for stage in _STAGES:
        text.append(f"  {stage} ", "dim")
        text.append(f"{timings[stage]:.1f} ms")
    return text
