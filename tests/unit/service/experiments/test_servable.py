"""Sampling that an arm sets is taken if and only if the student's manifest could say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.experiments.definitions import Arm
from service.experiments.servable import misfits
from service.manifest import Manifest
from tests.unit.service.test_manifest import manifest_of

N, TEMPERATURE, TOKENS = st.integers(1, 3), st.sampled_from([0, 0.0, 0.7]), st.integers(1, 80)
COLD = Manifest.model_validate(manifest_of())
WARM = Manifest.model_validate(manifest_of(version="4", decoding__temperature=0.7))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    temperature = draw(TEMPERATURE)
    n = draw(N) if temperature else 1
    return Manifest.model_validate(
        manifest_of(
            decoding={"n": n, "temperature": temperature, "max_tokens": draw(TOKENS) % 64 + 1}
        )
    )


@given(
    manifests(),
    st.fixed_dictionaries({}, optional={"n": N, "temperature": TEMPERATURE, "max_tokens": TOKENS}),
)
def test_what_fits_is_what_the_manifest_would_take(
    manifest: Manifest, sampling: dict[str, int | float]
) -> None:
    found = list(misfits(Arm("a", 10_000, sampling=sampling), {}, {manifest.key: manifest}))
    written = manifest.model_dump()
    written["decoding"] |= sampling
    try:
        Manifest.model_validate(written)
    except ValidationError:
        assert found
    else:
        assert not found
    assert {name for name, _ in found} <= sampling.keys(), "the fault stands where the arm is"


def test_an_arm_without_a_student_must_fit_each_that_may_serve_by_default() -> None:
    arm = Arm("a", 10_000, sampling={"n": 2})
    assert not [*misfits(arm, {}, {WARM.key: WARM})]
    ((name, told),) = misfits(arm, {}, {WARM.key: WARM, COLD.key: COLD})
    assert name == "n"
    assert COLD.key in told


def test_the_manifest_of_the_arms_own_student_counts_and_no_other() -> None:
    arm = Arm("a", 10_000, student=WARM.key, sampling={"n": 2})
    assert not [*misfits(arm, {WARM.key: WARM, COLD.key: COLD}, {COLD.key: COLD})]
