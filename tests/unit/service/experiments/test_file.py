"""A file of experiments is taken whole, or refused with file, line, field and remedy."""

from __future__ import annotations

import re
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from service.errors import ConfigurationError
from service.experiments.definitions import Arm, Status
from service.experiments.file import RefusedFile, read_experiments
from service.experiments.schema import RetrievalIn, SamplingIn
from service.manifest import DecodingParams
from service.settings import Settings
from service.wiring import open_experiments
from tests.unit.service.experiments.builders import can, file_of, written

PAGE = Path(__file__).parents[4] / "docs" / "experiments.md"


def faults_of(path: Path) -> list[str]:
    with pytest.raises(RefusedFile) as refused:
        read_experiments(path, can())
    return refused.value.faults


def arms(*splits: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": f"arm-{i}", "split": split, **more} for i, split in enumerate(splits)]


def test_a_file_is_read_as_it_is_meant(tmp_path: Path) -> None:
    one = written(
        starts="2026-11-30T00:00:00Z",
        traffic="12.25%",
        holdout="5%",
        allowlist={"tester": "small-10"},
        arms=[
            {"name": "control", "split": "50%"},
            {
                "name": "small-10",
                "split": "50 %",
                "student": "small@10",
                "fusion": {"diversity": 0.5, "own_places": 3},
                "retrieval": {"own_signals": 4},
                "sampling": {"n": 4, "temperature": 0.7},
            },
        ],
    )
    (layer,) = read_experiments(file_of(tmp_path, one), can()).experiments.layers
    (found,) = layer.experiments
    assert (layer.name, layer.salt) == ("students", "students-salt")
    assert (found.traffic, found.holdout, found.buckets) == (1_225, 500, (0, 4_999))
    assert found.starts_ms == int(datetime(2026, 11, 30, tzinfo=UTC).timestamp() * 1000)
    assert found.status is Status.RUNNING
    constants = {"diversity": 0.5, "own_places": 3}
    assert found.arms == (
        Arm("control", 5_000),
        Arm(
            "small-10",
            5_000,
            "small@10",
            constants,
            {"own_signals": 4},
            {"n": 4, "temperature": 0.7},
        ),
    )
    assert found.allowlist == {"tester": "small-10"}


ALONE = [
    (written(trafic="1%"), "trafic", "no such field; did you mean traffic?"),
    (written(x_y_z="red"), "x_y_z", "no such field; the fields here are: key, kind"),
    (written(traffic=1), "traffic", "with its sign, such as 5%"),
    (written(traffic="101%"), "traffic", "from 0% to 100%"),
    (written(traffic="1.234%"), "traffic", "with its sign"),
    (written(traffic=None), "traffic", "is missing; add it"),
    (written(status="done"), "status", "'running', 'paused' or 'stopped'"),
    (written(buckets=[5_000, 4_999]), "buckets", "write the lower bucket first"),
    (written(buckets=[0, 10_000]), "buckets.1", "less than 10000"),
    (written(starts="2026-11-30T00:00:00"), "starts", "timezone"),
    (
        written(starts="2026-12-01T00:00:00Z", ends="2026-12-01T00:00:00Z"),
        "ends",
        "later than starts",
    ),
    (written(key="a:b"), "key", "pattern"),
    (written(arms=arms("50%", "40%")), "arms", "add up to 90%: make it 100%"),
    (written(arms=arms("100%", "0%")), "arms.1.split", "more than 0%"),
    (written(arms=arms("100%")), "arms", "has two arms or more"),
    (written(kind="rollout"), "arms", "a rollout has one arm"),
    (
        written(arms=[{"name": "x", "split": "50%"}, {"name": "x", "split": "50%"}]),
        "arms.1.name",
        "x is there twice",
    ),
    (
        written(arms=[{"name": "holdout", "split": "50%"}, *arms("50%")]),
        "arms.0.name",
        "choose another name",
    ),
    (
        written(arms=arms("50%", "50%", student="small@11")),
        "arms.0.student",
        "no student is called small@11; there are: heuristic, small@10, small@9",
    ),
    (
        written(arms=arms("50%", "50%", fusion={"diversty": 0.5})),
        "arms.0.fusion.diversty",
        "did you mean diversity?",
    ),
    (
        written(arms=arms("50%", "50%", fusion={"diversity": 2})),
        "arms.0.fusion.diversity",
        "is 2, but must be 0 to 1",
    ),
    (
        written(arms=arms("50%", "50%", fusion={"diversity": "much"})),
        "arms.0.fusion.diversity",
        "must be a number",
    ),
    (
        written(arms=arms("50%", "50%", fusion={"own_places": 2.5})),
        "arms.0.fusion.own_places",
        "must be a whole number",
    ),
    (
        written(arms=arms("50%", "50%", retrieval={"own_signal": 1})),
        "arms.0.retrieval.own_signal",
        "did you mean own_signals?",
    ),
    (
        written(arms=arms("50%", "50%", retrieval={"own_signals": 65})),
        "arms.0.retrieval.own_signals",
        "less than or equal to 64",
    ),
    (
        written(arms=arms("50%", "50%", sampling={"temprature": 0.7})),
        "arms.0.sampling.temprature",
        "did you mean temperature?",
    ),
    (
        written(arms=arms("50%", "50%", sampling={"top_p": 0})),
        "arms.0.sampling.top_p",
        "greater than 0",
    ),
    (
        written(arms=arms("50%", "50%", student="small@9", sampling={"n": 4})),
        "arms.0.sampling.n",
        "n is 4 and temperature of small@9 is 0, which gives 4 equal samples: set temperature",
    ),
    (
        written(arms=arms("50%", "50%", sampling={"max_tokens": 65})),
        "arms.0.sampling.max_tokens",
        "is 65, but beside its prompt small@9 has room for 64 tokens",
    ),
    (
        written(arms=arms("50%", "50%", student="heuristic", sampling={"top_p": 0.9})),
        "arms.0.sampling.top_p",
        "the heuristic does not sample: leave sampling out",
    ),
    (written(allowlist={"tester": "smal"}), "allowlist.tester", "no arm is called smal; the arms"),
]


@pytest.mark.parametrize(("one", "field", "told"), ALONE, ids=[f"{f}-{t}" for _, f, t in ALONE])
def test_a_fault_is_told_with_file_line_field_and_remedy(
    tmp_path: Path, one: dict[str, Any], field: str, told: str
) -> None:
    path = file_of(tmp_path, one)
    place = rf"{re.escape(str(path))}:\d+: layers\.0\.experiments\.0\.{re.escape(field)}: "
    found = [fault for fault in faults_of(path) if re.match(place, fault) and told in fault]
    assert found, faults_of(path)


def test_the_example_of_the_page_can_be_used(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "experiments.yaml"
    path.write_text(example)
    found = read_experiments(path, can("interests-small@10", "smollm2-base@1")).experiments
    assert set(found.by_key()) == {"small-10", "base", "less-popular"}


def test_a_gateway_does_not_start_with_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    path = file_of(tmp_path, written(trafic="1%"))
    with pytest.raises(ConfigurationError, match=rf"{re.escape(str(path))}:\d+: .*traffic\?"):
        open_experiments(Settings(experiments_file=path), can())


def test_the_line_is_that_of_the_field(tmp_path: Path) -> None:
    path = file_of(tmp_path, written(traffic="1.234%"))
    (fault,) = faults_of(path)
    line = int(fault.removeprefix(f"{path}:").partition(":")[0])
    assert "traffic" in path.read_text().splitlines()[line - 1]


def test_a_fault_is_one_line_whatever_the_file_holds(tmp_path: Path) -> None:
    path = file_of(tmp_path, written(allowlist={"two\nlines": "no\u2028arm"}))
    (fault,) = faults_of(path)
    assert fault.isprintable()
    assert r"allowlist.two\nlines: no arm is called no\u2028arm" in fault


def test_all_faults_are_told_and_the_error_says_how_many(tmp_path: Path) -> None:
    bad = written(buckets=[9, 8], arms=arms("50%", "40%"))
    with pytest.raises(RefusedFile, match=r"\(and 1 more\)$") as refused:
        read_experiments(file_of(tmp_path, bad), can())
    assert len(refused.value.faults) == 2


def test_experiments_of_a_layer_share_no_bucket_unless_one_is_stopped(tmp_path: Path) -> None:
    first, second = written(), written(key="second", buckets=[4_999, 6_000])
    (fault,) = faults_of(file_of(tmp_path, first, second))
    assert "experiments.1.buckets: overlaps with small-10 (0 to 4999)" in fault
    stopped = written(key="second", buckets=[0, 9_999], status="stopped")
    assert read_experiments(file_of(tmp_path, first, stopped), can())


def test_a_user_is_on_one_allowlist_of_a_layer(tmp_path: Path) -> None:
    first = written(allowlist={"tester": "control"})
    second = written(key="second", buckets=[5_000, 6_000], allowlist={"tester": "control"})
    (fault,) = faults_of(file_of(tmp_path, first, second))
    assert "experiments.1.allowlist.tester: is on the allowlist of small-10" in fault


def test_what_one_layer_sets_no_other_layer_sets(tmp_path: Path) -> None:
    path = file_of(tmp_path, students=[written()], ranking=[written(key="second")])
    (fault,) = faults_of(path)
    assert "layers.1.experiments.0.arms: sets student, as the layer students does" in fault
    apart = written(key="second", arms=arms("50%", "50%", fusion={"diversity": 0.1}))
    assert read_experiments(file_of(tmp_path, students=[written()], ranking=[apart]), can())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"student": "small@10"}, {"sampling": {"top_p": 0.9}}),
        ({"sampling": {"top_p": 0.9}}, {"student": "small@10"}),
        ({"sampling": {"temperature": 0.7}}, {"sampling": {"n": 4}}),
    ],
)
def test_a_student_and_its_sampling_are_of_one_layer(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Each could be fine by itself and wrong for a user who is in both."""
    one = written(arms=arms("50%", "50%", **first))
    other = written(key="second", arms=arms("50%", "50%", **second))
    found = faults_of(file_of(tmp_path, students=[one], others=[other]))
    assert any(
        "layers.1.experiments.0.arms: sets" in fault and "of the layer students" in fault
        for fault in found
    )


def test_a_shadow_may_set_what_others_set_and_may_have_one_arm(tmp_path: Path) -> None:
    """Nobody is served with it, so no user gets two things at once."""
    dark = written(key="dark", kind="shadow", arms=arms("100%", student="small@9"))
    path = file_of(tmp_path, students=[written()], dark=[dark])
    found = read_experiments(path, can()).experiments.by_key()
    assert [one.is_shadow for _, one in found.values()] == [False, True]


def test_a_shadow_shares_no_bucket_with_others_of_its_layer(tmp_path: Path) -> None:
    dark = written(key="dark", kind="shadow", arms=arms("100%", student="small@9"))
    (fault,) = faults_of(file_of(tmp_path, written(), dark))
    assert "experiments.1.buckets: overlaps with small-10" in fault


def test_keys_names_and_salts_are_distinct(tmp_path: Path) -> None:
    again = written(buckets=[5_000, 6_000])
    (fault,) = faults_of(file_of(tmp_path, written(), again))
    assert "experiments.1.key: small-10 is there twice" in fault
    path = file_of(tmp_path, written())
    body = "  - {name: NAME, salt: SALT}\n"
    for name, salt, field in (("students", "s", "name"), ("n", "students-salt", "salt")):
        more = body.replace("NAME", name).replace("SALT", salt)
        text = path.read_text().replace("layers:\n", f"layers:\n{more}".replace("  - ", "- "))
        other = tmp_path / f"{field}.yaml"
        other.write_text(text)
        (fault,) = faults_of(other)
        assert f"layers.1.{field}: " in fault


def test_a_stopped_experiment_may_name_a_student_that_is_gone(tmp_path: Path) -> None:
    gone = written(status="stopped", arms=arms("50%", "50%", student="small@1"))
    assert read_experiments(file_of(tmp_path, gone), can())


@pytest.mark.parametrize("text", ["", "layers: [", "- a\n", "layers: []\nlayers: []\n"])
def test_what_is_no_file_of_experiments_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "experiments.yaml"
    path.write_text(text)
    (fault,) = faults_of(path)
    assert fault.startswith(str(path))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path / "none.yaml")
    assert "cannot be read" in fault


@pytest.mark.parametrize(
    ("of", "model", "name"),
    [
        *((RetrievalIn, Settings, name) for name in RetrievalIn.model_fields),
        *((SamplingIn, DecodingParams, name) for name in SamplingIn.model_fields),
    ],
)
def test_an_arms_constants_have_the_bounds_of_what_they_stand_for(
    of: type[BaseModel], model: type[BaseModel], name: str
) -> None:
    def bounds(model: type[BaseModel]) -> dict[str, object]:
        held = model.model_fields[name].metadata
        return {
            type(one).__name__: astuple(one)
            for one in held
            if type(one).__name__ in ("Ge", "Gt", "Le")
        }

    assert len(bounds(of)) == 2
    assert bounds(of) == bounds(model)
