"""What was predicted offline beside what was found online: arms, direction, words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from models.verdict.offline import beside, read_offline
from models.verdict.report.tables import parts
from models.verdict.run import report
from service.errors import InvalidInput
from service.experiments.definitions import Arm, Experiment, Status
from tests.unit.models.verdict.builders import KEY, write_experiment

ARMS = (
    Arm("heuristic", 2_500, "heuristic"),
    Arm("serving", 2_500),
    Arm("base", 2_500, "base@1"),
    Arm("tuned", 2_500, None, {"diversity": 0.5}),
)
EXPERIMENT = Experiment("k", "ab", Status.RUNNING, (0, 9_999), 10_000, ARMS)
MEASURED = {"heuristic": 0.50, "small@9": 0.60, "base@1": 0.40}
OFFLINE = {
    "students": ["small@9", "base@1"],
    "systems": [
        {"name": name, "reading": reading, "ndcg@50": {"mean": mean, "low": 0.1, "high": 0.9}}
        for name, mean in MEASURED.items()
        for reading in ("L", "S")
    ],
}


def found(change: float, low: float, high: float) -> dict[str, Any]:
    return {"name": "click_through", "effect": {"change": change, "low": low, "high": high}}


def said(**arms: dict[str, Any]) -> dict[str, Any]:
    comparisons = [{"arm": arm, "metrics": [metric]} for arm, metric in arms.items()]
    return {"control": "heuristic", "comparisons": comparisons}


def agreement(arm: str, *change: float) -> str:
    [row] = beside(OFFLINE, EXPERIMENT, said(**{arm: found(*change)}))["rows"]
    return str(row["agreement"])


def test_an_arm_is_predicted_by_the_student_that_writes_its_lists() -> None:
    change = found(0.1, 0.05, 0.3)
    rows = beside(OFFLINE, EXPERIMENT, said(serving=change, base=change, tuned=change))["rows"]
    assert [row["predicted"] for row in rows] == [pytest.approx(0.2), pytest.approx(-0.2), None]
    assert rows[0]["offline"]["system"] == "small@9"
    assert rows[2]["agreement"] == "nothing was predicted"


def test_words_say_whether_it_came_as_foretold() -> None:
    assert agreement("serving", 0.15, 0.05, 0.3).endswith("it is as foretold")
    assert agreement("serving", 0.1, -0.1, 0.3).endswith("it may be as foretold")
    assert agreement("serving", 0.1, 0.05, 0.15) == "the same way, by another amount"
    assert agreement("serving", -0.1, -0.15, -0.05) == "the other way"
    assert agreement("serving", 0.01, -0.1, 0.1).startswith("not decided")


def test_what_too_few_saw_is_not_set_beside_anything() -> None:
    nothing = {"name": "click_through", "effect": None}
    [row] = beside(OFFLINE, EXPERIMENT, said(serving=nothing))["rows"]
    assert (row["found"], row["agreement"]) == (None, "too little was seen")


def test_the_page_has_a_table_of_it(tmp_path: Path) -> None:
    write_experiment(tmp_path, {"control": 250, "other": 250}, rates={"control": 0.1, "other": 0.2})
    whole = report(KEY, tmp_path, day_s=86_400, slow_ms=500)
    arms = (Arm("control", 5_000), Arm("other", 5_000, "base@1"))
    experiment = Experiment(KEY, "ab", Status.RUNNING, (0, 9_999), 10_000, arms)
    whole["offline"] = beside(OFFLINE, experiment, whole)
    [part] = [part for part in parts(whole) if "offline" in part.title]
    [row] = part.rows
    assert row[0] == "other"
    assert "-33.3%" in row


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (b"{", "is no report.json"),
        (b"[]", "is no report.json"),
        (orjson.dumps({"systems": [], "run": {"students": []}}), "measured no student"),
    ],
)
def test_another_file_is_refused_with_its_name(tmp_path: Path, held: bytes, told: str) -> None:
    (tmp_path / "report.json").write_bytes(held)
    with pytest.raises(InvalidInput, match=told):
        read_offline(tmp_path)


def test_a_prediction_needs_the_file_that_says_who_serves_an_arm(tmp_path: Path) -> None:
    whole = {"systems": [], "run": {"students": ["small@9"]}}
    (tmp_path / "report.json").write_bytes(orjson.dumps(whole))
    with pytest.raises(InvalidInput, match="needs --experiments"):
        report(KEY, tmp_path, day_s=86_400, slow_ms=500, offline=tmp_path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_offline(tmp_path / "none")
