"""What a request is served with, and what is said of it where that was not what the arm says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.choice import (
    Choice,
    Chooser,
    PipelineSettings,
    Serving,
    ServingStudent,
    fusion_faults,
    placements,
)
from service.errors import InvalidInput
from service.experiments.assign import Assignment
from service.experiments.definitions import Arm, Experiment, Experiments, Layer
from service.experiments.file import CheckedFile
from service.experiments.live import LiveExperiments
from service.generation.ladder import HeuristicGenerator, NoEngine
from service.overload.saving import Step
from service.records import CandidateSource, Degraded, Placement, Prompt, QuerySource
from service.retrieval.fusion import FusionSettings
from tests.unit.service.experiments.builders import NOW_MS, experiment
from tests.unit.service.generation.builders import student

DEFAULT, OTHER = student(), student(version="2")
SETTINGS = PipelineSettings(200, 50, 4, 0.5, FusionSettings())
ALL = 10_000


def serving(version: str) -> ServingStudent:
    return ServingStudent(
        student(version=version),
        lambda shown: Prompt((), shown),
        lambda shown: "",
        NoEngine(),
        NoEngine(),
    )


def rollout(key: str, **arm: object) -> Experiment:
    """Everybody gets this arm."""
    return experiment(key, kind="rollout", arms=(Arm("new", ALL, **arm),))


def chooser(*running: Experiment, saving: Callable[[], Step] = lambda: Step.NOTHING) -> Chooser:
    """Chooses under these experiments, each in a layer of its own."""
    layers = tuple(Layer(one.key, one.key, (one,)) for one in running)
    return Chooser(
        serving=lambda: Serving({DEFAULT.key: serving("1"), OTHER.key: serving("2")}, DEFAULT.key),
        heuristic=HeuristicGenerator(),
        settings=SETTINGS,
        experiments=LiveExperiments(CheckedFile(Experiments(layers))),
        saving=saving,
    )


def choose(*running: Experiment, variant: str | None = None) -> Choice:
    return chooser(*running).choose("maya", variant, NOW_MS)


def test_without_experiments_the_default_student_and_the_settings_serve() -> None:
    choice = choose()
    assert (choice.student.spec, choice.settings) == (DEFAULT, SETTINGS)
    assert choice.by_default
    assert choice.assigned == ()


@pytest.mark.parametrize(("step", "own"), [(Step.SAMPLES, 9), (Step.HALF_OF_OWN, 5), (3, 0)])
def test_where_places_are_short_fewer_own_signals_are_searched_whatever_an_arm_says(
    step: Step, own: int
) -> None:
    it = chooser(rollout("a", retrieval={"own_signals": 9}), saving=lambda: Step(step))
    settings = it.choose("maya", None, NOW_MS).settings
    assert settings == replace(SETTINGS, own_signals=own)


def test_an_arm_decides_the_student() -> None:
    choice = choose(rollout("e", student=OTHER.key))
    assert choice.student.spec == OTHER
    assert not choice.by_default


def test_another_default_serves_the_requests_that_begin_afterwards() -> None:
    now = Serving({DEFAULT.key: serving("1"), OTHER.key: serving("2")}, DEFAULT.key)
    it = Chooser(
        serving=lambda: now,
        heuristic=HeuristicGenerator(),
        settings=SETTINGS,
        experiments=LiveExperiments(),
    )
    before = it.choose("maya", None, NOW_MS)
    now = replace(now, default=OTHER.key)
    after = it.choose("maya", None, NOW_MS)
    assert (before.student.spec, after.student.spec) == (DEFAULT, OTHER)
    assert before.by_default
    assert after.by_default
    now = Serving({OTHER.key: now.students[OTHER.key]}, OTHER.key)
    with pytest.raises(InvalidInput, match=f"unknown student; the students are: {OTHER.key}$"):
        it.choose("maya", DEFAULT.key, NOW_MS)


def test_a_heuristic_arm_is_the_default_student_without_its_engine() -> None:
    choice = choose(rollout("e", student="heuristic"))
    assert isinstance(choice.student.generator, HeuristicGenerator)
    assert choice.student.spec == DEFAULT
    assert not choice.by_default


def test_arms_of_several_layers_are_put_together() -> None:
    choice = choose(
        rollout("a", student=OTHER.key),
        rollout("b", fusion={"diversity": 0.5}, retrieval={"own_signals": 1}),
        rollout("c", fusion={"own_places": 2}, retrieval={"hits_per_query": 10}),
    )
    fusion = replace(SETTINGS.fusion, diversity=0.5, own_places=2)
    assert choice.student.spec == OTHER
    assert choice.settings == replace(SETTINGS, own_signals=1, hits_per_query=10, fusion=fusion)


def test_an_arms_student_decodes_as_its_sampling_says_and_keeps_lists_of_its_own() -> None:
    sampling = {"n": 4, "temperature": 0.7, "top_p": 0.9, "max_tokens": 16}
    for key, spec in ((OTHER.key, OTHER), (None, DEFAULT)):
        choice = choose(rollout("e", student=key, sampling=sampling))
        assert choice.student.spec == replace(spec, decoding=replace(spec.decoding, **sampling))
        assert choice.student.spec.list_key != spec.list_key
        assert choice.by_default == (key is None)


def test_a_variant_decodes_as_its_own_manifest_says() -> None:
    choice = choose(rollout("e", sampling={"top_p": 0.9}), variant=OTHER.key)
    assert choice.student.spec == OTHER


def test_those_held_out_are_served_as_without_the_experiment() -> None:
    held = replace(rollout("e", student=OTHER.key, fusion={"diversity": 0.5}), holdout=ALL)
    choice = choose(held)
    assert (choice.student.spec, choice.settings) == (DEFAULT, SETTINGS)
    assert [place.assigned for place in choice.assigned] == ["holdout"]


def test_a_variant_goes_before_the_arms_student_and_leaves_its_constants() -> None:
    arm = rollout("e", student=OTHER.key, fusion={"diversity": 0.5})
    choice = choose(arm, variant=DEFAULT.key)
    assert choice.student.spec == DEFAULT
    assert choice.settings.fusion.diversity == 0.5
    assert choice.override == DEFAULT.key


def test_an_unknown_variant_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"the students are: tiny@1, tiny@2"):
        choose(variant="tiny@3")


def test_an_empty_variant_chooses_nothing() -> None:
    choice = choose(rollout("e", student=OTHER.key), variant="")
    assert choice.student.spec == OTHER
    assert choice.override is None


def shadow(key: str, **arm: object) -> Experiment:
    """Everybody gets this arm, after what is served."""
    return replace(rollout(key, **arm), kind="shadow")


def test_a_shadow_is_chosen_beside_what_serves_and_changes_nothing_of_it() -> None:
    sampling = {"n": 4, "temperature": 0.7}
    served = rollout("a", student=OTHER.key, fusion={"diversity": 0.5})
    choice = choose(served, shadow("b", sampling=sampling, retrieval={"own_signals": 0}))
    alone = choose(served)
    assert (choice.student.spec, choice.settings) == (alone.student.spec, alone.settings)
    assert choice.assigned == alone.assigned
    (unseen,) = choice.shadows
    decoding = replace(DEFAULT.decoding, **sampling)
    assert unseen.student.spec == replace(DEFAULT, decoding=decoding), "the default one, as checked"
    assert unseen.settings == replace(choice.settings, own_signals=0), "else as what was served"
    assert unseen.writes


def test_a_shadow_that_sets_nothing_of_lists_has_the_student_that_serves() -> None:
    choice = choose(rollout("a", student=OTHER.key), shadow("b", fusion={"diversity": 0.5}))
    (unseen,) = choice.shadows
    assert unseen.student is choice.student
    assert not unseen.writes


def test_a_heuristic_shadow_asks_no_engine() -> None:
    (unseen,) = choose(shadow("b", student="heuristic")).shadows
    assert isinstance(unseen.student.spare, HeuristicGenerator)


def test_those_held_out_and_those_who_chose_a_student_have_no_shadow() -> None:
    one = shadow("b", student=OTHER.key)
    assert choose(replace(one, holdout=ALL)).shadows == ()
    assert choose(one, variant=OTHER.key).shadows == ()


STUDENTS = Assignment(experiment("students"), "layer", experiment().arms[1])
CONSTANTS = Assignment(
    rollout("constants", fusion={"diversity": 0.5}), "other", rollout("c").arms[0]
)
BOTH = Choice(serving("2"), SETTINGS, False, (STUDENTS, CONSTANTS))


def served(
    choice: Choice = BOTH,
    queries: QuerySource = QuerySource.FRESH,
    candidates: CandidateSource = CandidateSource.SEARCH,
    degraded: tuple[Degraded, ...] = (),
) -> list[tuple[str, str | None]]:
    return [
        (place.served, place.reason) for place in placements(choice, queries, candidates, degraded)
    ]


def test_an_answer_that_is_as_the_arms_say_has_no_reason() -> None:
    for source in (QuerySource.FRESH, QuerySource.REUSED):
        assert served(queries=source) == [("other", None), ("new", None)]
    assert placements(BOTH, QuerySource.FRESH, CandidateSource.SEARCH, ())[0] == Placement(
        "students", "layer", "other", "other"
    )


@pytest.mark.parametrize("source", [QuerySource.STALE, QuerySource.HEURISTIC, QuerySource.NONE])
@pytest.mark.parametrize(
    "reason",
    [
        Degraded.GENERATION_TIMEOUT,
        Degraded.GENERATION_UNAVAILABLE,
        Degraded.GENERATION_OVERLOADED,
        Degraded.GENERATION_INVALID,
    ],
)
def test_a_list_from_a_lower_rung_is_not_the_arms(source: QuerySource, reason: Degraded) -> None:
    found = served(queries=source, degraded=(Degraded.SIGNALS_UNAVAILABLE, reason))
    assert found == [(f"queries:{source}", reason), ("new", None)]


def test_signals_that_could_not_be_read_leave_no_list_of_the_arms() -> None:
    lost = (Degraded.SIGNALS_UNAVAILABLE, Degraded.NO_SIGNALS)
    found = served(queries=QuerySource.NONE, degraded=lost)
    assert found == [("queries:none", "signals_unavailable"), ("new", None)]


@pytest.mark.parametrize(
    "degraded",
    [(), (Degraded.NO_SIGNALS,), (Degraded.RETRIEVAL_PARTIAL,), (Degraded.ENCODER_UNAVAILABLE,)],
)
def test_what_every_arm_would_have_met_is_the_arms(degraded: tuple[Degraded, ...]) -> None:
    for source in (QuerySource.NONE, QuerySource.HEURISTIC):
        assert served(queries=source, degraded=degraded) == [("other", None), ("new", None)]
    assert served(candidates=CandidateSource.POPULAR, degraded=degraded) == [
        ("other", None),
        ("new", None),
    ]


@pytest.mark.parametrize("reason", [Degraded.RETRIEVAL_TIMEOUT, Degraded.RETRIEVAL_UNAVAILABLE])
def test_without_a_search_no_arm_was_served(reason: Degraded) -> None:
    found = served(candidates=CandidateSource.POPULAR, degraded=(reason,))
    assert found == [("candidates:popular", reason)] * 2


def test_an_override_is_said_where_students_are_compared() -> None:
    choice = replace(BOTH, override="tiny@1")
    assert served(choice) == [("student:tiny@1", "override"), ("new", None)]


@pytest.mark.parametrize("arm", [{"student": "tiny@2"}, {"sampling": {"top_p": 0.9}}])
def test_a_list_that_is_not_the_arms_is_said_where_an_arm_sets_how_lists_are_written(
    arm: dict[str, object],
) -> None:
    one = rollout("e", **arm)
    choice = replace(BOTH, assigned=(Assignment(one, "layer", one.arms[0]),))
    lost = (Degraded.GENERATION_TIMEOUT,)
    found = served(choice, QuerySource.STALE, degraded=lost)
    assert found == [("queries:stale", "generation_timeout")]
    assert served(replace(choice, override="tiny@1")) == [("student:tiny@1", "override")]


def test_a_place_by_the_allowlist_is_said() -> None:
    listed = replace(BOTH, assigned=(replace(STUDENTS, listed=True),))
    assert served(listed) == [("other", "allowlist")]


@given(
    st.sampled_from(list(QuerySource)),
    st.sampled_from(list(CandidateSource)),
    st.lists(st.sampled_from(list(Degraded)), unique=True),
    st.sampled_from([None, "tiny@1"]),
    st.booleans(),
)
def test_nothing_but_the_arm_is_served_without_a_reason(
    queries: QuerySource,
    candidates: CandidateSource,
    degraded: list[Degraded],
    override: str | None,
    listed: bool,
) -> None:
    assigned = tuple(replace(place, listed=listed) for place in BOTH.assigned)
    choice = replace(BOTH, override=override, assigned=assigned)
    for place in placements(choice, queries, candidates, degraded):
        assert place.served == place.assigned or place.reason not in (None, "allowlist")


@pytest.mark.parametrize("field", [field.name for field in fields(FusionSettings)])
def test_every_fusion_constant_may_be_set_and_is_bounded(field: str) -> None:
    base = FusionSettings()
    assert fusion_faults(base, {field: getattr(base, field)}) == {}
    assert "must be" in fusion_faults(base, {field: -1})[field]
