"""The report of an experiment, from a folder of events to a folder with its pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.progress import Stage, no_stage
from models.verdict.design import Design, design, planned
from models.verdict.events import opened, sources
from models.verdict.looks import (
    Arms,
    Look,
    entered,
    has_history,
    look_days,
    looks,
    summaries,
    totals,
)
from models.verdict.measured import GUARDRAILS, METRICS, PRIMARY, Metric
from models.verdict.offline import beside, read_offline
from models.verdict.statistics import (
    LEVEL,
    SAMPLE_RATIO_LEVEL,
    Effect,
    corrected,
    effect,
    sample_ratio,
)
from models.verdict.surrogate import early, halves
from models.verdict.users import COLD_BELOW, Users, read_users
from models.verdict.verdict import guard, verdict
from service.errors import InvalidInput
from service.experiments.definitions import Experiment

Json = dict[str, Any]


def report(
    key: str,
    events: Path,
    *,
    experiments: Path | None = None,
    day_s: float,
    slow_ms: float,
    interventions: Sequence[str] = (),
    offline: Path | None = None,
    stage: Stage = no_stage,
) -> Json:
    """What the events of a folder say of an experiment, as `report.json` has it.

    `interventions` are sentences about what was done to it while it ran: who paused it, and why.
    `offline` is a report of `interests evaluate`, to set beside it: it needs `experiments`.
    Raises `InvalidInput` for a folder, a file of it, or a key that there is nothing of.
    """
    experiment = None if experiments is None else planned(experiments, key)
    before = None if offline is None else read_offline(offline)
    if before is not None and experiment is None:
        raise InvalidInput("needs --experiments, which says who serves an arm", field="--offline")
    with opened(key, sources(events), stage) as database:
        told = stage("gathering users", 0)
        users = read_users(database, max(1, round(day_s * 1000)), slow_ms)
        told(1)
    said = judge(key, users, experiment, stage)
    if before is not None and experiment is not None:
        said["offline"] = beside(before, experiment, said)
    return said | {"slow_ms": slow_ms, "interventions": list(interventions)}


def judge(
    key: str, users: Users, experiment: Experiment | None = None, stage: Stage = no_stage
) -> Json:
    """The statistics of a report. Raises `InvalidInput` where there are not two arms."""
    plan = design(key, users.arms, experiment)
    level = LEVEL / len(plan.others)
    told = stage("looking at days", len(look_days(users.days)))
    seen = []
    for look in looks(users):
        seen.append(look)
        told(1)
    ratio = _sample_ratio(users, plan)
    p_values = [look["p_value"] for look in ratio["looks"]]
    foretells = early(users)
    return {
        "experiment": key,
        "period": {
            "from": _date(users.start_ms),
            "to": _date(users.end_ms),
            "day_s": users.day_ms / 1000,
            "days": users.days,
        },
        "control": plan.control,
        "arms": {
            arm: int(np.count_nonzero(users.arm == number)) for number, arm in enumerate(users.arms)
        },
        "design_note": plan.note,
        "left_out": {"users_in_two_arms": users.in_two_arms, "forced_answers": users.forced},
        "level": LEVEL,
        "level_of_an_arm": level,
        "sample_ratio": ratio,
        "early": None if foretells is None else asdict(foretells),
        "comparisons": [
            _comparison(users, plan.control, other, level, seen, p_values) for other in plan.others
        ],
    }


def _comparison(
    users: Users,
    control: str,
    other: str,
    level: float,
    seen: Sequence[Look],
    ratio: Sequence[float],
) -> Json:
    last = seen[-1].arms
    found = {
        metric.name: _compared(users, metric, last, control, other, level)
        for metric in (*METRICS, *GUARDRAILS)
    }
    guards = {one.name: guard(one, found[one.name]) for one in GUARDRAILS}
    said = verdict(found[PRIMARY.name], guards, ratio)
    halved = halves(users, control, other, level)
    return {
        "arm": other,
        "verdict": said.word.value,
        "reasons": list(said.reasons),
        "metrics": [
            _metric(users, metric, found[metric.name], last, control, other) for metric in METRICS
        ],
        "guardrails": [
            _metric(users, one, found[one.name], last, control, other)
            | {"tolerance": one.tolerance, "state": guards[one.name].value}
            for one in GUARDRAILS
        ],
        "looks": _looks(users, control, other, level, seen),
        "segments": _segments(users, control, other, level),
        "halves": None
        if halved is None
        else {
            "first": asdict(halved.first),
            "second": asdict(halved.second),
            "foretold": halved.foretold,
        },
    }


def _compared(
    users: Users, metric: Metric, arms: Arms, control: str, other: str, level: float
) -> Effect | None:
    if control not in arms or other not in arms:
        return None
    adjusted = has_history(users, metric, (control, other))
    return effect(metric, arms[control], arms[other], adjusted=adjusted, level=level)


def _metric(
    users: Users, metric: Metric, found: Effect | None, arms: Arms, control: str, other: str
) -> Json:
    """One metric as the report has it, with what the adjustment was worth."""
    row: Json = {
        "name": metric.name,
        "title": metric.title,
        "better": metric.better,
        "relative": metric.relative,
        "effect": None if found is None else asdict(found),
        "variance_removed": None,
    }
    if found is not None and has_history(users, metric, (control, other)):
        plain = effect(metric, arms[control], arms[other])
        if plain is not None:
            removed = 1 - (found.standard_error / plain.standard_error) ** 2
            row["variance_removed"] = removed
    return row


def _looks(
    users: Users, control: str, other: str, level: float, seen: Iterable[Look]
) -> list[Json]:
    rows = []
    for look in seen:
        found = _compared(users, PRIMARY, look.arms, control, other, level)
        rows.append(
            {
                "day": look.day + 1,
                "change": found.change if found else None,
                "low": found.low if found else None,
                "high": found.high if found else None,
                "p_value": found.p_value if found else None,
            }
        )
    return rows


def _segments(users: Users, control: str, other: str, level: float) -> list[Json]:
    """The primary metric among some of the users; p-values are corrected for their number."""
    cold = users.signals < COLD_BELOW
    among = {f"cold: fewer than {COLD_BELOW} signals": cold, "warm": ~cold}
    among |= {f"mostly {one}": users.domain == one for one in sorted(set(users.domain) - {""})}
    total = totals(users)
    rows: dict[str, Effect | None] = {}
    for name, mask in among.items():
        rows[name] = _compared(users, PRIMARY, summaries(users, total, mask), control, other, level)
    p_values = corrected({name: one.p_value for name, one in rows.items() if one is not None})
    return [
        {
            "segment": name,
            "users": int(
                np.count_nonzero(
                    mask & np.isin(users.arm, [users.arms.index(control), users.arms.index(other)])
                )
            ),
            "effect": None if (found := rows[name]) is None else asdict(found),
            "corrected_p_value": p_values.get(name),
        }
        for name, mask in among.items()
    ]


def _sample_ratio(users: Users, plan: Design) -> Json:
    arms = list(plan.shares)
    whole = sum(plan.shares.values())
    checked = entered(users, arms) if arms else np.zeros((0, 0), dtype=np.int64)
    p_values = sample_ratio(checked, list(plan.shares.values())) if arms else []
    return {
        "level": SAMPLE_RATIO_LEVEL,
        "planned": {arm: share / whole for arm, share in plan.shares.items()},
        "looks": [
            {"day": day + 1, "users": dict(zip(arms, map(int, row), strict=True)), "p_value": p}
            for day, row, p in zip(look_days(users.days), checked, p_values, strict=False)
        ],
    }


def _date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


def headline(said: Mapping[str, Any]) -> list[str]:
    """A line for each arm: what a terminal shows."""
    return [
        f"{one['arm']} beside {said['control']}: {one['verdict']}. {' '.join(one['reasons'])}"
        for one in said["comparisons"]
    ]
