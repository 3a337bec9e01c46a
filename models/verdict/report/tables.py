"""The tables and sentences that both pages, Markdown and HTML, are made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A heading with what stands under it: sentences, then a table, then a plot."""

    title: str
    sentences: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    plot: str = ""
    """Name of a plot; empty: none."""


def parts(report: Json) -> list[Part]:
    """All of a report, in the order in which it is read."""
    found = [_about(report)]
    for number, one in enumerate(report["comparisons"]):
        found += _comparison(report, one, number)
    if offline := report.get("offline"):
        found.append(_offline(report["control"], offline))
    return [*found, _sample_ratio(report), _early(report)]


def _about(report: Json) -> Part:
    period, left_out = report["period"], report["left_out"]
    sentences = [
        f"From {period['from']} to {period['to']}: {period['days']} "
        f"{'day' if period['days'] == 1 else 'days'} of {period['day_s']:g} seconds.",
        "Everybody counts for the arm that they were assigned to, from their first answer under "
        "the experiment on, whatever served them.",
        f"Left out: {left_out['users_in_two_arms']:,} users seen in two arms, "
        f"{left_out['forced_answers']:,} answers whose arm the request or the allowlist chose.",
        *([report["design_note"]] if report["design_note"] else []),
        *report["interventions"],
    ]
    rows = [
        (arm + (" (control)" if arm == report["control"] else ""), f"{users:,}")
        for arm, users in report["arms"].items()
    ]
    return Part("Who was compared", tuple(sentences), ("arm", "users"), tuple(rows))


def _comparison(report: Json, one: Json, number: int) -> list[Part]:
    of = f"{one['arm']} beside {report['control']}"
    certain = f"{1 - report['level_of_an_arm']:.4g}"
    return [
        Part(f"{of}: {one['verdict']}", tuple(one["reasons"])),
        Part(
            f"{of}: metrics",
            (
                f"Intervals hold the true change with probability {certain}, also where they are "
                "looked at every day.",
            ),
            (
                "metric",
                report["control"],
                one["arm"],
                "change",
                "interval",
                "p",
                "variance removed",
            ),
            tuple((*_effect(row), _share(row["variance_removed"])) for row in one["metrics"]),
            f"looks-{number}",
        ),
        Part(
            f"{of}: guardrails",
            (),
            (
                "guardrail",
                report["control"],
                one["arm"],
                "change",
                "interval",
                "p",
                "borne",
                "state",
            ),
            tuple((*_effect(row), _borne(row), row["state"]) for row in one["guardrails"]),
        ),
        Part(
            f"{of}: click-through by segment",
            ("The last p is corrected for the number of segments: below 0.05 counts.",),
            ("segment", "users", "change", "interval", "corrected p"),
            tuple(
                (
                    row["segment"],
                    f"{row['users']:,}",
                    *_change(row["effect"], True),
                    _p(row["corrected_p_value"]),
                )
                for row in one["segments"]
            ),
            f"segments-{number}",
        ),
        _halves(of, one["halves"]),
    ]


def _halves(of: str, halves: Json | None) -> Part:
    title = f"{of}: does the first half foretell the second?"
    if halves is None:
        return Part(title, ("Too few days or users to tell.",))
    told = (
        "Yes: the second half's change is one that the first half's interval allows."
        if halves["foretold"]
        else "No: the second half's change lies outside of the first half's interval. The effect "
        "wears off or grows, so the whole period's number is no forecast."
    )
    rows = tuple((half, *_change(halves[half], True)) for half in ("first", "second"))
    of_whom = "Of the users who entered in the first half."
    return Part(title, (told, of_whom), ("half", "change", "interval"), rows)


def _sample_ratio(report: Json) -> Part:
    looks = report["sample_ratio"]["looks"]
    if not looks:
        return Part("Sample ratio", ("Not checked: the planned shares are not known.",))
    arms = list(report["sample_ratio"]["planned"])
    planned = report["sample_ratio"]["planned"]
    rows = tuple(
        (str(look["day"]), *(f"{look['users'][arm]:,}" for arm in arms), _p(look["p_value"]))
        for look in looks[-14:]
    )
    said = f"Planned: {', '.join(f'{arm} {share:.1%}' for arm, share in planned.items())}."
    low = f"Below {report['sample_ratio']['level']:g} the assignment is broken."
    return Part("Sample ratio", (said, low), ("day", *arms, "p"), rows, "users")


def _offline(control: str, offline: Json) -> Part:
    rows = []
    for row in offline["rows"]:
        arm, of_control, found = row["offline"], row["control"], row["found"]
        rows.append(
            (
                row["arm"],
                "–"
                if arm is None
                else f"{arm['mean']:.3f} ({arm['low']:.3f} to {arm['high']:.3f})",
                "–" if of_control is None else f"{of_control['mean']:.3f}",
                "–" if row["predicted"] is None else f"{100 * row['predicted']:+.1f}%",
                *_change(found, True),
                row["agreement"],
            )
        )
    told = (
        f"Offline: {offline['measure']} of the arm and of {control}, on users of the evaluation's "
        "own. It measures what a list finds, the click-through what readers do with its first "
        "places: expect the same order, not the same numbers."
    )
    head = ("arm", "offline", control, "predicted", "found", "interval", "")
    return Part("What offline evaluation had predicted", (told,), head, tuple(rows))


def _early(report: Json) -> Part:
    found = report["early"]
    title = "Do clicks of a user's first day foretell later ones?"
    if found is None:
        return Part(title, ("Too few users were shown articles on their first day and later.",))
    return Part(
        title,
        (
            f"Rank correlation of the click-through of the first day with that of later days: "
            f"{found['correlation']:.2f} over {found['users']:,} users "
            f"(p = {_p(found['p_value'])}). It says whether users stay as they are, not whether "
            "an effect does.",
        ),
    )


def _effect(row: Json) -> tuple[str, ...]:
    found = row["effect"]
    if found is None:
        return (row["title"], "–", "–", "–", "too little seen", "–")
    change, interval = _change(found, row["relative"])
    return (
        row["title"],
        f"{found['control']:.4g}",
        f"{found['other']:.4g}",
        change,
        interval,
        _p(found["p_value"]),
    )


def _change(found: Json | None, relative: bool) -> tuple[str, str]:
    if found is None:
        return "–", "too little seen"
    unit = "%" if relative else " pp"
    change, low, high = (100 * found[name] for name in ("change", "low", "high"))
    return f"{change:+.2f}{unit}", f"{low:+.2f} to {high:+.2f}{unit}"


def _borne(row: Json) -> str:
    sign = "+" if row["better"] == "lower" else "−"
    return f"{sign}{100 * row['tolerance']:g}{'%' if row['relative'] else ' pp'}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown; a cell holds no line break and no bar of its own."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
