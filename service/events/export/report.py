"""What an export says at its end. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.events.export.folder import TABLES
from service.events.export.losses import Losses
from service.events.export.summary import Summary

_SHOWN = 20
_ENDINGS = {
    "in order": "ended in order",
    "not yet": "no end yet",
    "no orderly end": "no orderly end: up to 50 ms of exposures may be missing after the last",
}


@dataclass(slots=True)
class Totals:
    """The segments of a run, added up."""

    segments: int = 0
    entries: int = 0
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    feedback_not_joined: int = 0
    shadows_not_joined: int = 0
    deleted: int = 0
    repeated: int = 0
    unreadable: int = 0
    named: list[str] = field(default_factory=list)
    trimmed: list[tuple[int, str, str]] = field(default_factory=list)
    processes: set[int] = field(default_factory=set)

    def add(self, partition: int, summary: Summary) -> None:
        """One more segment."""
        self.segments += 1
        self.entries += summary.entries
        for table, rows in summary.rows.items():
            self.rows[table] += rows
        self.feedback_not_joined += summary.feedback_not_joined
        self.shadows_not_joined += summary.shadows_not_joined
        self.deleted += summary.deleted
        self.repeated += summary.repeated
        self.unreadable += summary.unreadable
        self.named += summary.unreadable_named[: _SHOWN - len(self.named)]
        if summary.trimmed:
            after, before = summary.trimmed
            self.trimmed.append((partition, after, before))
        self.processes.update(one.process for one in summary.processes)


def run_lines(totals: Totals) -> list[str]:
    """What a run wrote and what it left out."""
    rows = totals.rows
    lines = [
        f"wrote {_count(totals.segments, 'segment')} of {_entries(totals.entries)}: "
        f"{rows['exposures']:,} exposures, "
        f"{rows['feedback']:,} of feedback ({totals.feedback_not_joined:,} not joined), "
        f"{rows['shadows']:,} of shadows ({totals.shadows_not_joined:,} not joined), "
        f"{rows['ends']:,} ends of processes"
    ]
    if totals.deleted:
        lines.append(f"left out: {_entries(totals.deleted)} of deleted users")
    if totals.repeated:
        lines.append(f"left out: {_entries(totals.repeated)} of feedback that came twice")
    if totals.unreadable:
        lines.append(f"passed over {_entries(totals.unreadable)} that cannot be read:")
        lines += [f"  {one}" for one in totals.named]
        if (more := totals.unreadable - len(totals.named)) > 0:
            lines.append(f"  and {more:,} more")
    lines += [
        f"events:{{{partition}}} begins at {before}, and {after} was the last that had been "
        "exported: what was between them was trimmed, or removed with its users; export more often"
        for partition, after, before in totals.trimmed
    ]
    return lines


def losses_lines(found: Sequence[Losses]) -> list[str]:
    """A table of the processes with exposures missing or without an orderly end, and a total."""
    told = [one for one in found if one.missing or one.ending == "no orderly end"]
    exposures = sum(one.exposures for one in found)
    missing = sum(one.missing for one in found)
    lines = [
        f"{_count(len(found), 'process', 'processes')} with {exposures:,} exposures; "
        f"{missing:,} exposures are missing by their numbers"
    ]
    if told:
        names = ("process", "exposures", "before", "between", "after")
        lines.append("  ".join(f"{name:>10}" for name in names) + "  end")
    for one in told:
        numbers = (one.process, one.exposures, one.before, one.between, one.after)
        shown = "  ".join(f"{number:>10}" for number in numbers)
        lines.append(f"{shown}  {_ENDINGS[one.ending]}")
    return lines


def _entries(count: int) -> str:
    return _count(count, "entry", "entries")


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
