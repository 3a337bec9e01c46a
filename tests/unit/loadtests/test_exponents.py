from __future__ import annotations

import random

import pytest

from loadtests.rig.exponents import line, power


@pytest.mark.parametrize("exponent", [-0.5, 0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_is_found_with_its_factor(exponent: float) -> None:
    found = power({size: [3 * size**exponent] * 3 for size in (1, 10, 100, 1000)})
    assert found.exponent == pytest.approx(exponent, abs=1e-9)
    assert found.factor == pytest.approx(3)
    assert found.low == pytest.approx(found.high) == pytest.approx(exponent, abs=1e-9)
    assert found.at(50) == pytest.approx(3 * 50**exponent)


def test_the_exponent_of_a_power_in_noise_lies_within_its_bounds() -> None:
    rng = random.Random(5)
    sizes = (1, 4, 16, 64, 256)
    found = power({size: [size**0.7 * rng.gauss(1, 0.1) for _ in range(9)] for size in sizes})
    assert found.low < 0.7 < found.high
    assert 0 < found.high - found.low < 0.1


def test_one_odd_round_does_not_move_the_exponent() -> None:
    calm = {size: [float(size)] * 5 for size in (1, 10, 100)}
    odd = {**calm, 100: [100.0] * 4 + [5000.0]}
    assert power(odd).exponent == pytest.approx(power(calm).exponent)


def test_the_same_rounds_give_the_same_bounds() -> None:
    points = {1: [1.0, 1.2, 0.9], 10: [8.0, 12.0, 10.0]}
    assert power(points) == power(points)
    assert power(points).said().startswith("1.00 (0.8")


def test_what_does_not_grow_has_an_exponent_without_a_sign() -> None:
    assert power({1: [1.0001], 10: [1.0]}).said() == "0.00 (0.00 to 0.00)"


@pytest.mark.parametrize(
    "points", [{}, {1: [1.0]}, {0: [1.0], 1: [1.0]}, {1: [0.0], 2: [1.0]}, {1: [-1.0], 2: [1.0]}]
)
def test_what_has_no_exponent_is_refused(points: dict[float, list[float]]) -> None:
    with pytest.raises(ValueError, match="an exponent needs"):
        power(points)


def test_a_line_has_what_is_there_at_nothing_and_what_each_one_adds() -> None:
    found = line({size: [2 + 0.5 * size, 100.0, 2 + 0.5 * size] for size in (1, 2, 8, 32)})
    assert found.base == pytest.approx(2)
    assert found.per_unit == pytest.approx(0.5)
    assert found.at(100) == pytest.approx(52)
    with pytest.raises(ValueError, match="two sizes"):
        line({1: [1.0]})
