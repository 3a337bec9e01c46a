"""Whether a student may take another's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from models.evaluation.promotion import Decision, decide, experiment
from models.packaging.registry import BASE_STUDENT, DEFAULT_STUDENT, find_student
from service.errors import InvalidInput
from service.experiments.file import read_experiments
from service.manifest import Lineage

CANDIDATE = find_student(DEFAULT_STUDENT).manifest
SERVING = find_student(BASE_STUDENT).manifest
Json = dict[str, Any]


def interval(mean: float, half: float) -> Json:
    return {"mean": mean, "low": mean - half, "high": mean + half}


def report(gain: float = 0.05, half: float = 0.01, *, valid: float = 1.0, p50: float = 1.0) -> Json:
    """Of a candidate that gains so much, where the serving student has nDCG@20 0.3 and 1 s."""
    return {
        "data": {"split": "test"},
        "run": {"students": [CANDIDATE.key, SERVING.key]},
        "lists": {
            CANDIDATE.key: {"valid": valid, "latency_p50_s": p50},
            SERVING.key: {"valid": 1.0, "latency_p50_s": 1.0},
        },
        "comparisons": [
            {
                "system": f"{CANDIDATE.key} (S)",
                "against": f"{SERVING.key} (S)",
                "segment": "everybody",
                "ndcg@20": {
                    "difference": interval(gain, half),
                    "ratio": interval(1 + gain / 0.3, half / 0.3),
                },
            }
        ],
    }


def decided(found: Mapping[str, Any], budget: float = 1.5) -> Decision:
    return decide(found, CANDIDATE, SERVING, budget)


def test_a_better_student_within_the_budget_takes_the_place_and_says_why() -> None:
    decision = decided(report(p50=1.4))
    assert decision.refused == ()
    assert "+0.050 [+0.040, +0.060], better" in " ".join(decision.because)
    assert "1.40 times as long" in " ".join(decision.because)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (report(-0.05), "-0.050 [-0.060, -0.040], worse"),
        (report(0.02, 0.05), "neither better nor surely equal; judge more people"),
        (report(0.0, 0.005), "equal, and it is not cheaper"),
        (report(valid=0.98), "98.0% of its lists are valid, fewer than 99%"),
        (report(p50=1.6), "1.60 times as long as that of"),
    ],
    ids=["worse", "noise", "equal and as dear", "invalid lists", "slow"],
)
def test_a_student_that_is_not_is_refused_with_the_reason(found: Json, says: str) -> None:
    (refused,) = decided(found).refused
    assert says in refused


def test_an_equal_student_that_is_cheaper_takes_the_place() -> None:
    assert decided(report(0.0, 0.005, p50=0.6)).refused == ()


def test_every_reason_is_said_at_once() -> None:
    assert len(decided(report(-0.05, valid=0.5, p50=3)).refused) == 3


def test_a_student_that_does_not_say_where_it_comes_from_is_refused() -> None:
    silent = CANDIDATE.model_copy(update={"lineage": Lineage(base="b", source="s")})
    refused = decide(report(), silent, SERVING, 1.5).refused
    assert [reason.split(" ")[0] for reason in refused] == [
        "lineage.data",
        "lineage.configs",
        "lineage.commit",
    ]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"data": {"split": "tune"}}, "is about tune people"),
        ({"run": {"students": [SERVING.key]}}, "evaluate both together"),
        ({"comparisons": []}, "does not compare"),
        ({"data": {}}, "is no report"),
        ({"data": []}, "is no report"),
        ({"lists": {CANDIDATE.key: {}}}, "evaluate anew"),
    ],
)
def test_another_report_is_refused_with_the_remedy(changed: Json, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        decided({**report(), **changed})


def test_what_is_written_is_an_experiment_that_the_gateway_reads(tmp_path: Any) -> None:
    lines = "\n".join(f"      {line}" for line in experiment(CANDIDATE))
    text = f"layers:\n  - name: students\n    salt: s\n    experiments:\n{lines}\n"
    path = tmp_path / "experiments.yaml"
    path.write_text(text)
    (layer,) = read_experiments(path, None).experiments.layers
    (found,) = layer.experiments
    assert found.kind == "rollout"
    assert [arm.student for arm in found.arms] == [CANDIDATE.key]
