"""Who is in which arm: ramps move nobody, layers share nobody, shares are what the file says."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from service.experiments.assign import Assigner, Assignment
from service.experiments.definitions import Arm, Experiments, Layer, Status
from service.experiments.hashing import point
from tests.unit.service.experiments.builders import NOW_MS, experiment, layer

USERS = [f"user-{number}" for number in range(2_000)]
user_ids = st.text(min_size=1, max_size=20)
shares = st.integers(0, 10_000)


def arms_of(found: Experiments, users: list[str], now_ms: int = NOW_MS) -> dict[str, str]:
    """By user: the arm in the file's only experiment; those in none are left out."""
    assigner = Assigner(found)
    places = {user: assigner.assign(user, now_ms) for user in users}
    return {user: places[0].assigned for user, places in places.items() if places}


def one_of(found: Experiments, user: str) -> Assignment | None:
    places = Assigner(found).assign(user, NOW_MS)
    return places[0] if places else None


@given(st.lists(user_ids, min_size=1, max_size=30), shares, shares, st.integers(1, 9_999))
def test_raising_traffic_adds_users_and_moves_none(
    users: list[str], one: int, other: int, split: int
) -> None:
    arms = (Arm("a", split), Arm("b", 10_000 - split))
    low, high = sorted((one, other))
    before = arms_of(layer(experiment(traffic=low, arms=arms)), users)
    after = arms_of(layer(experiment(traffic=high, arms=arms)), users)
    assert before.items() <= after.items()


@given(user_ids, st.integers(0, 9_998), st.integers(0, 9_999))
def test_a_user_is_in_one_experiment_of_a_layer_at_the_most(
    user: str, cut: int, holdout: int
) -> None:
    first = experiment("first", buckets=(0, cut), holdout=holdout)
    second = experiment("second", buckets=(cut + 1, 9_999))
    places = Assigner(layer(first, second)).assign(user, NOW_MS)
    (place,) = places
    assert place.experiment.key == ("first" if point("salt", user) <= cut else "second")


@settings(max_examples=25)
@given(st.integers(500, 9_500), st.integers(500, 10_000), st.text("abcdef", min_size=1, max_size=8))
def test_splits_and_traffic_are_honoured(split: int, traffic: int, salt: str) -> None:
    arms = (Arm("a", split), Arm("b", 10_000 - split))
    found = arms_of(layer(experiment(traffic=traffic, arms=arms), salt=salt), USERS)
    assert_share(len(found), len(USERS), traffic / 10_000)
    assert_share(list(found.values()).count("a"), len(found), split / 10_000)


def assert_share(count: int, of: int, share: float) -> None:
    """Within six standard deviations of what chance gives, which never fails by chance alone."""
    assert abs(count - of * share) <= 6 * (of * share * (1 - share)) ** 0.5 + 1


def test_enrolment_and_arm_are_independent() -> None:
    few = arms_of(layer(experiment(traffic=1_000)), USERS)
    assert_share(list(few.values()).count("control"), len(few), 0.5)


def test_each_step_is_the_published_point_under_its_salt() -> None:
    found = experiment("e", buckets=(2_000, 6_999), traffic=4_000, holdout=1_000)
    for user in USERS[:300]:
        place = one_of(layer(found), user)
        if not 2_000 <= point("salt", user) <= 6_999:
            assert place is None
        elif point("salt:e:holdout", user) < 1_000:
            assert place is not None
            assert place.assigned == "holdout"
        elif point("salt:e:enrolment", user) >= 4_000:
            assert place is None
        else:
            expected = "control" if point("salt:e:arm", user) < 5_000 else "other"
            assert place is not None
            assert place.assigned == expected


@given(user_ids, shares)
def test_those_held_out_are_never_enrolled_by_any_traffic(user: str, traffic: int) -> None:
    held = one_of(layer(experiment(traffic=0, holdout=2_000)), user)
    place = one_of(layer(experiment(traffic=traffic, holdout=2_000)), user)
    assert (held is not None) == (place is not None and place.arm is None)


def test_a_rollout_of_all_serves_its_one_arm_to_everybody() -> None:
    rollout = experiment(kind="rollout", arms=(Arm("new", 10_000, student="small@10"),))
    assert set(arms_of(layer(rollout), USERS).values()) == {"new"}
    assert len(arms_of(layer(rollout), USERS)) == len(USERS)


def test_only_what_runs_now_enrols() -> None:
    def users(**more: object) -> int:
        return len(arms_of(layer(experiment(**more)), USERS[:20]))

    assert users() == 20
    assert users(status=Status.PAUSED) == users(status=Status.STOPPED) == 0
    assert users(starts_ms=NOW_MS + 1) == users(ends_ms=NOW_MS) == 0
    assert users(starts_ms=NOW_MS, ends_ms=NOW_MS + 1) == 20


def test_the_allowlist_goes_before_all_hashes_and_says_so() -> None:
    mine = experiment("mine", traffic=0, buckets=(0, 0), allowlist={"tester": "other"})
    others = experiment("others", buckets=(1, 9_999))
    place = one_of(layer(mine, others), "tester")
    assert place is not None
    assert (place.experiment.key, place.assigned, place.listed) == ("mine", "other", True)
    paused = replace(mine, status=Status.PAUSED)
    place = one_of(layer(paused, others), "tester")
    assert place is None or not place.listed


def test_layers_are_independent_of_each_other() -> None:
    both = Experiments(
        (Layer("one", "s-1", (experiment("e-1"),)), Layer("two", "s-2", (experiment("e-2"),)))
    )
    assigner = Assigner(both)
    pairs = [tuple(place.assigned for place in assigner.assign(user, NOW_MS)) for user in USERS]
    for pair in (("control", "control"), ("control", "other"), ("other", "control")):
        assert_share(pairs.count(pair), len(USERS), 0.25)


def test_without_experiments_nobody_is_in_any() -> None:
    assert Assigner(Experiments()).assign("maya", NOW_MS) == ()
