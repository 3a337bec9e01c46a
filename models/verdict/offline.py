"""What an offline evaluation had predicted, beside what the online experiment found.

An offline report (`report.json` of `interests evaluate`) measures students and the heuristic on
the same users. An arm that differs from the control by who writes its lists has its counterpart
there: the reading S, which is the list as served.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from service.errors import InvalidInput
from service.experiments.definitions import HEURISTIC, Arm, Experiment

MEASURE = "ndcg@50"
"""It weighs the first places most, as those who look at a list do."""
_READING = "S"
_OPTION = "--offline"

Json = dict[str, Any]


def read_offline(path: Path) -> Json:
    """An offline report, from its folder or file. Raises `InvalidInput`."""
    file = path / "report.json" if path.is_dir() else path
    try:
        found = orjson.loads(file.read_bytes())
        systems = found["systems"]
        students = found["run"]["students"]
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}", field=_OPTION) from error
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{file} is no report.json of `interests evaluate`", field=_OPTION
        ) from error
    if not students:
        raise InvalidInput(f"{file} measured no student: give --engine there", field=_OPTION)
    return {"systems": systems, "students": students}


def beside(offline: Mapping[str, Any], experiment: Experiment, said: Mapping[str, Any]) -> Json:
    """For each arm what was predicted and what was found, as a change from the control's.

    `said` is the report so far. An arm that also sets constants, or whose student was not measured,
    has no prediction. The student that serves by default is taken for the offline report's first.
    """
    control = said["control"]
    measured = {arm.name: _measured(offline, arm) for arm in experiment.arms}
    rows = [
        _row(one, measured.get(one["arm"]), measured.get(control)) for one in said["comparisons"]
    ]
    return {"measure": f"{MEASURE} ({_READING})", "rows": rows}


def _row(one: Mapping[str, Any], arm: Json | None, control: Json | None) -> Json:
    found = next(row for row in one["metrics"] if row["name"] == "click_through")["effect"]
    predicted = None
    if arm is not None and control is not None and control["mean"]:
        predicted = arm["mean"] / control["mean"] - 1
    return {
        "arm": one["arm"],
        "offline": arm,
        "control": control,
        "predicted": predicted,
        "found": None if found is None else {x: found[x] for x in ("change", "low", "high")},
        "agreement": _agreement(predicted, found),
    }


def _measured(offline: Mapping[str, Any], arm: Arm) -> Json | None:
    if arm.changes() - {("student",)}:
        return None
    name = "heuristic" if arm.student == HEURISTIC else arm.student or offline["students"][0]
    for system in offline["systems"]:
        if system["name"] == name and system["reading"] == _READING and MEASURE in system:
            found: Json = {"system": name, **system[MEASURE]}
            return found
    return None


def _agreement(predicted: float | None, found: Mapping[str, float] | None) -> str:
    """In words: whether what was found goes the way that was predicted."""
    if predicted is None:
        return "nothing was predicted"
    if found is None:
        return "too little was seen"
    if found["low"] <= predicted <= found["high"]:
        way = "may be" if found["low"] <= 0 <= found["high"] else "is"
        return f"the prediction lies in the interval: it {way} as foretold"
    same_way = (predicted > 0) is (found["change"] > 0)
    if found["low"] <= 0 <= found["high"]:
        return "not decided: the interval holds no change, and not the prediction"
    return "the same way, by another amount" if same_way else "the other way"
