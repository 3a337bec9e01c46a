from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtests.capacity import main, plan
from loadtests.capacity_check import SIMULATED_LINES, Compared, compared_with
from loadtests.capacity_load import Load
from loadtests.costs import MEASURED, READ_MS, TEXT_MS, Costs, costs_of, read_costs
from loadtests.engine_simulator import Sequence
from loadtests.growth.__main__ import AXES
from loadtests.rig.sides import CPU_MS
from service.errors import ConfigurationError
from service.generation.queries import queries_in

PAGE = Path(__file__).parents[3] / "docs" / "operating" / "sizing.md"
COSTS = Costs(
    reused_ms=1.0,
    returning_ms=1.5,
    fresh_ms=3.0,
    candidate_ms=0.01,
    signal_ms=0.02,
    query_ms=0.1,
    token_ms=0.05,
    embedded_ms=0.2,
    embedded_exponent=0.5,
    read_ms=0.05,
)
LOAD = Load(requests_s=1000, reused=0.8, signals=50, users=1e6, recent=0.5)


def value(load: Load, name: str, costs: Costs = COSTS) -> float:
    return plan(load, costs)[name].value


def test_a_plan_is_what_a_reader_computes_by_hand() -> None:
    found = {name: row.value for name, row in plan(LOAD, COSTS).items()}
    # 100 candidates, 50 signals, 20 texts.
    assert found["CPU, recent user"] == pytest.approx(1.0 + 100 * 0.01)
    assert found["CPU, kept list"] == pytest.approx(1.5 + 1.0 + 50 * 0.02 + 20 * 0.1)
    assert found["CPU, new list"] == pytest.approx(3.0 + 32 * 0.05 + 1.0 + 1.0 + 2.0)
    assert found["CPU, a request"] == pytest.approx(0.4 * 2.0 + 0.4 * 5.5 + 0.2 * 8.6)
    assert found["one gateway answers"] == pytest.approx(500 / 4.72)
    assert found["gateways"] == 10
    assert found["in work"] == pytest.approx(200 * 0.2 + 800 * 0.006)
    assert found["tokens written"] == pytest.approx(200 * 32)
    assert found["engines"] == 1 + 1
    assert found["window, at least"] == 5
    assert found["Redis, data"] == pytest.approx((1e6 * (150 + 50 * 93 + 480) + 5e8) / 1e9)
    assert found["Redis, nodes"] == 1
    told = value(replace(LOAD, feedback_s=100), "Redis, data") - found["Redis, data"]
    assert told == pytest.approx(100 * 604_800 * 280 / 1e9)
    assert found["connections of a node"] == 640
    assert found["OpenSearch, searches"] == pytest.approx(1000 * 0.6 * 20)
    assert found["OpenSearch, data"] == pytest.approx(4.536)


def test_the_embedded_index_is_the_gateways_work_and_none_of_opensearch() -> None:
    inside = replace(LOAD, embedded=True, articles=40_000)
    more = value(inside, "CPU, kept list") - value(LOAD, "CPU, kept list")
    assert more == pytest.approx(20 * 0.2 * 2)  # four times the articles, root of it
    assert not [name for name in plan(inside, COSTS) if name.startswith("OpenSearch")]


@pytest.mark.parametrize(
    ("more", "number"),
    [
        ({"requests_s": 2000.0}, "gateways"),
        ({"reused": 0.5}, "gateways"),
        ({"reused": 0.0, "tokens": 320.0}, "engines"),
        ({"samples": 16.0}, "engines"),
        ({"samples": 16.0}, "gateways"),
        ({"signals": 200.0}, "Redis, data"),
        ({"users": 1e8}, "Redis, nodes"),
        ({"candidates": 500.0}, "gateways"),
        ({"articles": 1e8}, "OpenSearch, data"),
        ({"meaning_ms": 1.3}, "gateways"),
    ],
)
def test_more_of_a_load_takes_more(more: dict[str, Any], number: str) -> None:
    assert value(replace(LOAD, **more), number) > value(LOAD, number)


def test_redis_has_as_many_nodes_as_reads_take_where_memory_is_not_the_limit() -> None:
    many = replace(LOAD, requests_s=100_000, users=1000)
    assert value(many, "Redis, cores") == pytest.approx(5)
    assert value(many, "Redis, nodes") == 10


@pytest.mark.parametrize(
    "wrong",
    [{"reused": 1.1}, {"recent": -0.1}, {"requests_s": 0}, {"users": -1}, {"node_gb": 0}],
)
def test_a_load_that_cannot_be_is_refused_by_its_flag(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"--{next(iter(wrong)).replace('_', '-')}"):
        plan(replace(LOAD, **wrong), COSTS)


def figures(costs: Costs) -> dict[str, dict[str, dict[float, list[float]]]]:
    """What a growth run would show if these were the costs."""
    fresh, reused = costs.fresh, costs.reused
    cpu: dict[str, dict[float, list[float]]] = {
        "signals": {size: [fresh(size, 20, 64)] for size in (5, 500)},
        "queries": {size: [fresh(20, 12 + size, 64)] for size in (1, 32)},
        "samples": {size: [fresh(20, 20, 64, size)] for size in (1, 16)},
        "candidates": {size: [reused(size)] for size in (1, 500)},
        "returning": {10: [reused()], 1000: [costs.returning(20, 20)]},
    }
    texts: dict[float, list[float]] = {size: [costs.embedded(size)] for size in (1e4, 1e6)}
    return {
        **{axis: {CPU_MS: points} for axis, points in cpu.items()},
        "articles": {TEXT_MS: texts},
        "users": {READ_MS: {1e3: [9.0], 1e5: [costs.read_ms]}},
    }


def test_the_costs_are_read_back_from_the_axes_that_they_give() -> None:
    found = costs_of(figures(COSTS))
    assert found is not None
    for name in Costs.__dataclass_fields__:
        assert getattr(found, name) == pytest.approx(getattr(COSTS, name)), name


def test_costs_that_noise_has_left_below_nothing_are_named() -> None:
    assert "reused_ms=1, returning_ms=1.5" in COSTS.said()
    assert "quiet" not in COSTS.said()
    assert replace(COSTS, query_ms=-0.01).said().endswith("machine: query_ms.")


@pytest.mark.parametrize("axis", list(figures(COSTS)))
def test_without_one_of_its_axes_there_are_no_costs(axis: str) -> None:
    assert axis in AXES
    assert costs_of({name: one for name, one in figures(COSTS).items() if name != axis}) is None


def test_costs_are_read_from_the_file_of_a_whole_run_alone(tmp_path: Path) -> None:
    path = tmp_path / "growth.json"
    path.write_bytes(orjson.dumps({"data": {"costs": COSTS}}))
    assert read_costs(path) == COSTS
    path.write_bytes(orjson.dumps({"data": {"axes": {}}}))
    with pytest.raises(ConfigurationError, match="--only"):
        read_costs(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_costs(tmp_path / "none.json")


def check(folder: Path, name: str, data: object) -> list[Compared]:
    path = folder / f"{name}.json"
    path.write_bytes(orjson.dumps({"name": name, "data": data}))
    return compared_with(path, COSTS)


SCENE = {"signals": 20, "tokens": 32, "step_ms": 1.0, "index": "stub", "articles": 10_000}
INLINE_MS = 3.0 + 32 * 0.05 + 20 * 0.02 + 14 * 0.1 + 100 * 0.01


def test_scenarios_are_predicted_by_the_load_that_they_wrote_down(tmp_path: Path) -> None:
    turns = {"gateway": [{CPU_MS: 5.0}, {CPU_MS: 7.0}, {CPU_MS: 6.0}], "floor": [{CPU_MS: 1.0}]}
    asked = {"signals": 20, "limit": 100}
    (one,) = check(tmp_path, "reused", {"asked": asked, "turns": turns})
    assert one == Compared("reused", CPU_MS, pytest.approx(1.0 + 1.0), 6.0)
    (one,) = check(tmp_path, "inline", {"asked": SCENE, "turns": turns})
    assert (one.predicted, one.measured) == (pytest.approx(INLINE_MS), 6.0)
    inside = {**SCENE, "index": "embedded", "articles": 40_000}
    (one,) = check(tmp_path, "inline", {"asked": inside, "turns": turns})
    assert one.predicted == pytest.approx(INLINE_MS + 14 * 0.4)
    peaks = {"gateway": [{"peak/s": 90.0}]}
    (one,) = check(tmp_path, "added", {"asked": SCENE, "turns": peaks})
    assert (one.predicted, one.measured) == (pytest.approx(1000 / INLINE_MS), 90.0)


def test_through_is_as_quick_as_the_slower_of_engine_and_gateway(tmp_path: Path) -> None:
    turns = {"direct": [{"answers/s": 250.0}], "gateway": [{"answers/s": 120.0}]}
    asked = {**SCENE, "step_ms": 6.0, "batch": 50}
    direct, gateway = check(tmp_path, "through", {"asked": asked, "saturated": turns})
    assert direct.predicted == pytest.approx(50 / 0.192)
    assert gateway.predicted == pytest.approx(1000 / INLINE_MS)
    _, slow = check(tmp_path, "through", {"asked": {**asked, "batch": 1}, "saturated": turns})
    assert slow.predicted == pytest.approx(1 / 0.192)


def test_along_the_axes_the_sum_is_compared_at_every_size(tmp_path: Path) -> None:
    axes = {
        axis: {"figures": {name: {f"{size:g}": v for size, v in points.items()}}}
        for axis, named in figures(COSTS).items()
        for name, points in named.items()
    }
    found = check(tmp_path, "growth", {"axes": axes})
    assert len(found) == 8
    assert all(one.predicted == pytest.approx(one.measured) for one in found)


def test_results_without_a_load_are_refused_and_others_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not say 'asked'"):
        check(tmp_path, "inline", {"turns": {}})
    assert check(tmp_path, "soak", {}) == []
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(ConfigurationError, match="holds no results"):
        compared_with(tmp_path / "bad.json", COSTS)


def test_the_simulators_lists_have_as_many_queries_as_predictions_count() -> None:
    told = Sequence(index=0, seed=3, left=32, mark="7")
    text = "".join(told.next()[0] for _ in range(32))
    assert len(queries_in(text, (), finished=True, max_queries=8)) == SIMULATED_LINES
    own = Sequence(index=0, seed=3, left=64, mark="7", line_words=2, own_lines=True)
    text = "".join(own.next()[0] for _ in range(64))
    assert len(queries_in(text, (), finished=True, max_queries=32)) == 32


def test_the_page_shows_what_its_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (command,) = re.findall(
        r"^python -m loadtests\.capacity (--requests-s .*)$", page, re.MULTILINE
    )
    main([*shlex.split(command), "--markdown"])
    costs, planned = capsys.readouterr().out.strip().split("\n\n")
    assert costs in page, "loadtests/costs.py has other costs: print them with --markdown"
    assert planned in page, "the arithmetic has changed: print the plan with --markdown"


def test_what_cannot_be_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--reused", "2"])
    assert "--reused is a share" in capsys.readouterr().err


def test_the_costs_of_the_page_are_sound() -> None:
    assert all(getattr(MEASURED, name) > 0 for name in Costs.__dataclass_fields__)
