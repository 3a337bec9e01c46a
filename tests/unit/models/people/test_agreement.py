"""How far two judges agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.people.agreement import graded_twice, kappa
from service.errors import InvalidInput
from tests.unit.models.people.builders import judgement

grades = st.integers(0, 2)
pairs = st.lists(st.tuples(grades, grades), min_size=1)


def test_what_both_have_judged_is_paired() -> None:
    one = [judgement("ada", "a", 2), judgement("ada", "b", 0), judgement("bo", "a", 1)]
    other = [judgement("bo", "a", 2), judgement("ada", "c", 1), judgement("ada", "a", 2)]
    assert graded_twice(one, other) == [(1, 2), (2, 2)]


def test_an_example_from_hand() -> None:
    """Six of ten agree; by chance 0.5 x 0.4 + 0.3 x 0.4 + 0.2 x 0.2 would."""
    judged = [(0, 0)] * 3 + [(0, 1)] * 2 + [(1, 1)] * 2 + [(1, 2), (2, 2), (2, 0)]
    assert kappa(judged) == pytest.approx((0.6 - 0.36) / (1 - 0.36))


@given(pairs)
def test_it_is_one_for_the_same_grades_and_the_same_for_both_orders(
    judged: list[tuple[int, int]],
) -> None:
    assert kappa([(one, one) for one, _ in judged]) == 1
    assert kappa(judged) <= 1
    assert kappa(judged) == pytest.approx(kappa([(b, a) for a, b in judged]))


def test_weighted_it_forgives_neighbours_and_not_opposites() -> None:
    near = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 1)]
    far = [(0, 0), (1, 1), (2, 2), (0, 2), (2, 0)]
    assert kappa(near, weighted=True) > kappa(near)
    assert kappa(far, weighted=True) < kappa(near, weighted=True)


def test_nothing_judged_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="nothing was judged twice"):
        kappa([])
