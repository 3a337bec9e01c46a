"""Whether a student may take another's place, by a report of both on test people. Pure.

Better is a difference in nDCG@20, as served, whose interval lies above 0. Equal is one whose ratio
is surely not below `EQUAL`; then the candidate has to be cheaper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import InvalidInput
from service.manifest import Manifest

VALID = 0.99
"""Least share of the people with signals who have to get a list."""
EQUAL = 0.95
"""Least ratio of nDCG@20 that the lower bound of its interval may say of an equal student."""
CHEAPER = 0.95
"""Most of the serving student's milliseconds that a cheaper one takes."""
_QUALITY = "ndcg@20"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a report says of a candidate."""

    refused: tuple[str, ...]
    """Every reason against it; empty: it is promoted."""
    because: tuple[str, ...]
    """What speaks for it, with figures."""


def decide(
    report: Mapping[str, Any], candidate: Manifest, serving: Manifest, budget: float
) -> Decision:
    """Set a candidate against the student that serves.

    `budget` is how many times the serving student's median latency it may take. Raises
    `InvalidInput` where the report is another one than `interests evaluate --people test` writes of
    both students.
    """
    _require(report, candidate.key, serving.key)
    lists = report["lists"]
    ours, theirs = lists[candidate.key], lists[serving.key]
    because: list[str] = []
    refused = [*_lineage(candidate)]
    if (valid := ours["valid"]) < VALID:
        refused.append(f"{valid:.1%} of its lists are valid, fewer than {VALID:.0%}")
    else:
        because.append(f"{valid:.1%} of its lists are valid")
    slower = ours["latency_p50_s"] / theirs["latency_p50_s"]
    said = f"a list takes {slower:.2f} times as long as that of {serving.key}, at the median"
    if slower > budget:
        refused.append(f"{said}; the budget is {budget:g} times")
    else:
        because.append(said)
    better, words = _quality(_compared(report, candidate.key, serving.key))
    if better is None:
        refused.append(words)
    elif better or slower <= CHEAPER:
        because.append(words)
    else:
        refused.append(f"{words}, and it is not cheaper")
    return Decision(tuple(refused), tuple(because))


def experiment(candidate: Manifest, traffic: str = "1%") -> Iterator[str]:
    """The lines of an experiment that brings a promoted student to the users, step by step."""
    name = f"{candidate.name}-{candidate.version}".replace(".", "-")
    yield f"- key: {name}"
    yield "  kind: rollout"
    yield "  status: running"
    yield "  buckets: [0, 9999]"
    yield f"  traffic: {traffic}"
    yield f"  arms: [{{name: {name}, student: {candidate.key}}}]"


def _quality(found: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Better (True), equal (False) or worse (None) than the serving student, in words."""
    difference, ratio = found["difference"], found["ratio"]
    interval = f"{difference['mean']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]"
    what = f"nDCG@20 as served, paired by person: {interval}"
    if difference["low"] > 0:
        return True, f"{what}, better"
    if ratio is not None and (ratio["low"] or 0.0) >= EQUAL:
        return False, f"{what}, equal"
    if difference["high"] < 0:
        return None, f"{what}, worse"
    return None, f"{what}, which is neither better nor surely equal; judge more people"


def _lineage(candidate: Manifest) -> Iterator[str]:
    """What of its manifest does not say where it comes from."""
    lineage = candidate.lineage
    for name in ("data", "configs", "commit"):
        if lineage is None or not getattr(lineage, name):
            yield f"lineage.{name} is missing in its manifest; say it there"


def _compared(report: Mapping[str, Any], candidate: str, serving: str) -> Mapping[str, Any]:
    for one in report["comparisons"]:
        if (one["system"], one["against"], one["segment"]) == (
            f"{candidate} (S)",
            f"{serving} (S)",
            "everybody",
        ):
            found: Mapping[str, Any] = one[_QUALITY]
            return found
    raise InvalidInput(
        f"does not compare {candidate} with {serving}; evaluate them together, with --compare",
        field="--report",
    )


def _require(report: Mapping[str, Any], candidate: str, serving: str) -> None:
    try:
        split, known = report["data"]["split"], report["run"]["students"]
        figures: Sequence[Mapping[str, Any]] = [report["lists"].get(one, {}) for one in known]
    except (LookupError, TypeError, AttributeError) as error:
        raise InvalidInput(
            "is no report of `interests evaluate --people test`; give its folder", field="--report"
        ) from error
    if split != "test":
        raise InvalidInput(
            f"is about {split} people, by whom choices are made; evaluate with --people test",
            field="--report",
        )
    for wanted in (candidate, serving):
        if wanted not in known:
            raise InvalidInput(
                f"has no {wanted}, but {', '.join(known)}; evaluate both together, with --compare",
                field="--report",
            )
    if not all({"valid", "latency_p50_s"} <= set(one) for one in figures):
        raise InvalidInput(
            "does not say how many lists are valid and how long they took; evaluate anew",
            field="--report",
        )
