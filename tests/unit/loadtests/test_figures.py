from __future__ import annotations

import itertools
import random
import statistics

import pytest

from loadtests.rig.arrivals import poisson
from loadtests.rig.cores import Cores, shared_out
from loadtests.rig.figures import Spread, percentile, ratio, slope, spread
from loadtests.rig.rounds import Measured, Side, in_turns, order
from loadtests.rig.tables import compared, cpu_said, rounds_said


def test_arrivals_are_a_poisson_process_of_the_rate() -> None:
    moments = poisson(rate=50, seconds=400, seed=7)
    assert moments == sorted(moments)
    assert moments[0] >= 0
    assert moments[-1] < 400
    gaps = [later - sooner for sooner, later in itertools.pairwise(moments)]
    # 20,000 are expected; the spread of their number is its root, 141.
    assert abs(len(moments) - 20_000) < 4 * 141
    # Exponential gaps: as much spread as mean, and a share of 1/e longer than that.
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=0.05)
    longer = sum(gap > 1 / 50 for gap in gaps) / len(gaps)
    assert longer == pytest.approx(0.368, abs=0.02)


def test_the_same_seed_gives_the_same_arrivals_and_another_one_others() -> None:
    assert poisson(10, 5, seed=1) == poisson(10, 5, seed=1)
    assert poisson(10, 5, seed=1) != poisson(10, 5, seed=2)


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_of_nothing_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        poisson(rate, 5, seed=1)


def test_a_ratio_is_of_the_medians_and_its_bounds_are_those_of_neighbours() -> None:
    found = ratio([10, 30, 20], [10, 15, 40])
    assert found == Spread(20 / 15, 0.5, 2.0)
    assert found.said() == "1.33 (0.50 to 2.00)"


def test_a_ratio_of_sides_with_unlike_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        ratio([1, 2], [1])
    with pytest.raises(ValueError, match="no rounds"):
        ratio([], [])


def test_one_odd_round_does_not_move_the_median() -> None:
    assert spread([5, 5, 5, 5, 500]) == Spread(5, 5, 500)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1, 100), (0, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_the_slope_of_a_line_in_noise_lies_within_its_bounds() -> None:
    rng = random.Random(3)
    seconds = [float(number) for number in range(600)]
    values = [100 + 0.05 * second + rng.gauss(0, 2) for second in seconds]
    found = slope(seconds, values)
    assert found.low < 0.05 < found.high
    assert found.per_s == pytest.approx(0.05, abs=0.005)
    flat = slope(seconds, [100 + rng.gauss(0, 2) for _ in seconds])
    assert flat.low < 0 < flat.high


def test_a_slope_of_few_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="40"):
        slope([1.0] * 39, [1.0] * 39)


def test_sides_are_measured_in_turns_whose_order_is_turned_round() -> None:
    seen: list[str] = []

    def side(name: str) -> Side:
        def turn() -> dict[str, float]:
            seen.append(name)
            return {"answers/s": float(len(seen))}

        return Side(name, turn)

    measured = in_turns([side("A"), side("B")], rounds=3)
    assert "".join(seen) == "AB" + "ABBAAB"
    assert measured.values("A", "answers/s") == [3, 6, 7]
    assert measured.ratio("A", "B", "answers/s").median == 6 / 5
    assert order("ABC", 1) == ["C", "B", "A"]


def test_the_measured_process_has_a_core_of_its_own_where_there_are_two() -> None:
    one, two, three = frozenset({0}), frozenset({1}), frozenset({2})
    assert shared_out(one | two) == Cores(one, two, two)
    assert shared_out(one | two | three) == Cores(one, three, two)
    alone = shared_out(frozenset({3}))
    assert not alone.apart
    assert "share" in alone.said


def test_a_table_has_each_side_beside_the_reference() -> None:
    measured = Measured(
        {
            "floor": [{"answers/s": 10.0, "p50 ms": 1.0, "CPU": 1.0}, {"answers/s": 20.0}],
            "gateway": [{"answers/s": 4.0, "CPU": 3.0}, {"answers/s": 8.0}],
        }
    )
    heads, rows = compared(measured, "floor", "answers/s")
    assert heads == ["side", "answers/s", "to floor", "p50 ms", "CPU"]
    assert rows == [
        ["floor", "15.0 (10.0 to 20.0)", "1.00 (1.00 to 1.00)", "1.00", "1.00"],
        ["gateway", "6.0 (4.0 to 8.0)", "0.40 (0.40 to 0.40)", "–", "3.00"],
    ]
    assert compared(measured, None, "answers/s")[0][:3] == ["side", "answers/s", "p50 ms"]
    (sentence,) = cpu_said(measured, "floor", "CPU")
    assert sentence.startswith("gateway: 3.00")
    assert "3.00 (3.00 to 3.00) times that of floor" in sentence
    assert cpu_said(measured, "floor", "p50 ms") == []


def test_few_rounds_are_said_to_be_few() -> None:
    assert rounds_said(5, 2.0) == "5 rounds of 2 s a side"
    assert "too few" in rounds_said(4, 2.0)
