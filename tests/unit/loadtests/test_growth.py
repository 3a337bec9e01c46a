from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from loadtests.growth.axes import Grown, points_of
from loadtests.growth.gateway_axes import sampled
from loadtests.growth.run import Run
from loadtests.growth.stores import require_memory
from loadtests.rig.balanced import closed_loops, shared_out, together
from loadtests.rig.cores import Cores
from loadtests.rig.loops import OK, Call, Calls
from loadtests.rig.rounds import Measured
from loadtests.rig.sides import CPU_MS, NOT_OK
from models.packaging.registry import find_student
from service.errors import ConfigurationError
from service.manifest import MANIFEST, load_manifest
from tests.unit.loadtests.test_loops import numbered, said, server
from tests.unit.loadtests.test_results import HERE

GROWN = Grown(
    "queries",
    "queries",
    "All else was the same.",
    {
        CPU_MS: {1: [2.0, 2.2, 2.1], 10: [20.0, 22.0, 21.0]},
        "load s": {1: [3.0], 10: [3.0]},
        NOT_OK: {1: [0.0] * 3, 10: [0.0] * 3},
    },
)


def test_a_row_a_size_and_one_with_the_exponents() -> None:
    assert GROWN.rows() == [
        ["1", "2.1", "3", "0"],
        ["10", "21", "3", "0"],
        ["exponent", "1.00 (0.96 to 1.04)", "0.00 (0.00 to 0.00)", "–"],
    ]


def test_an_axis_is_written_with_its_plot_and_all_its_rounds(tmp_path: Path) -> None:
    paths = GROWN.result(3).write(HERE, tmp_path)
    assert [path.name for path in paths] == [
        "growth-queries.json",
        "growth-queries.svg",
        "growth-queries.md",
    ]
    assert "All else was the same." in paths[2].read_text()
    assert GROWN.data()["figures"] == {
        CPU_MS: {"1": [2.0, 2.2, 2.1], "10": [20.0, 22.0, 21.0]},
        "load s": {"1": [3.0], "10": [3.0]},
        NOT_OK: {"1": [0.0] * 3, "10": [0.0] * 3},
    }


def test_figures_are_taken_by_size_from_sides_that_are_called_otherwise() -> None:
    measured = Measured({"1 gateways": [{"x": 1.0}, {"x": 2.0}], "2 gateways": [{"x": 3.0}]})
    assert points_of(measured, {"1 gateways": 1, "2 gateways": 2}, ["x"]) == {
        "x": {1: [1.0, 2.0], 2: [3.0]}
    }


def test_a_quick_run_has_the_small_sizes() -> None:
    one = frozenset({0})
    cores = Cores(one, one, one)
    full = Run(Path(MANIFEST), cores, 3, 2.0, quick=False, million_users=False)
    quick = Run(Path(MANIFEST), cores, 3, 2.0, quick=True, million_users=False)
    assert full.sizes((1, 2, 4), (1, 2)) == [1, 2, 4]
    assert quick.sizes((1, 2, 4), (1, 2)) == [1, 2]


def test_a_sampled_student_is_the_same_but_for_its_samples(tmp_path: Path) -> None:
    folder = find_student("interests-small").folder
    made = sampled(folder / MANIFEST, tmp_path / "n4", 4)
    assert load_manifest(made).decoding.n == 4
    assert load_manifest(made).key == load_manifest(folder).key
    first, other = (yaml.safe_load(one.read_text()) for one in (folder / MANIFEST, made))
    assert {name for name in first if first[name] != other[name]} == {"decoding"}
    assert (made.parent / load_manifest(made).template.file).is_file()


def test_more_users_than_there_is_memory_for_are_refused_beforehand() -> None:
    require_memory(1)
    with pytest.raises(ConfigurationError, match="--million-users"):
        require_memory(10**18)


def test_callers_are_shared_out_evenly() -> None:
    assert shared_out(7, 3) == [3, 2, 2]
    assert shared_out(1, 2) == [1, 0]


async def test_several_servers_are_asked_at_the_same_time() -> None:
    async with server(said(b"{}"), wait_s=0.02) as one, server(said(b"{}"), wait_s=0.02) as other:
        ports = [one.port, other.port]
        calls = await closed_loops(ports, numbered, callers=3, seconds=0.1)
        assert (one.connections, other.connections) == (2, 1)
    assert len(calls.calls) == len(one.bodies) + len(other.bodies)
    assert calls.said() == {OK: len(calls.calls)}


def test_loops_together_are_as_long_as_the_longest_and_in_the_order_of_answers() -> None:
    first, second = Call(0, 0, 3.0, OK), Call(0, 0, 1.0, OK)
    both = together([Calls(2.0, [first]), Calls(3.0, [second])])
    assert both.seconds == 3.0
    assert both.calls == [second, first]
