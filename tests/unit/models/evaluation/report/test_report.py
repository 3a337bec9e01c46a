"""From what was measured to figures, and to a folder that holds them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from models.evaluation.report.figures import figures
from models.evaluation.report.lists import list_figures, named_figures, origin_figures
from models.evaluation.report.markdown import SIMULATED, markdown
from models.evaluation.report.terminal import print_report
from models.evaluation.report.write import about_this_run, write_report
from models.evaluation.systems import Evaluation, evaluate_systems
from service.encoding.onnx import OnnxModel
from service.errors import InvalidInput
from service.records import Query
from tests.unit.models.builders import queries, reader, signal, small_set
from tests.unit.models.evaluation.test_bench import Meanings

READERS = (
    reader("anna", "ferry", signal("crossing a fjord", 0)),
    reader("ben", "bread", *(signal(f"loaf tin {n}", n) for n in range(5))),
)
LISTS = {"anna": queries("battery ferry"), "ben": queries("sourdough", "bread")}


@pytest.fixture(scope="module")
def done() -> Evaluation:
    data = replace(
        small_set(*READERS),
        about={"source": "by hand", "users": 2, "split": "test", "mix": "hard"},
    )
    return evaluate_systems(data, {"mine": LISTS, "poor": {"anna": queries("zeppelin")}})


@pytest.fixture(scope="module")
def report(done: Evaluation) -> dict[str, Any]:
    return {
        "simulated": True,
        "data": dict(done.data.about),
        "run": about_this_run(["mine"], 1, 1.0),
        "lists": {"mine": list_figures({user.id: user.signals for user in READERS}, LISTS)},
        **figures(done, 1),
    }


def compared(report: dict[str, Any], reading: str, against: str) -> dict[str, Any]:
    (found,) = (
        pair
        for pair in report["comparisons"]
        if (pair["system"], pair["reading"], pair["against"]) == ("mine", reading, against)
        and pair["against_reading"] == "L"
    )
    return dict(found)


def test_every_system_has_every_measure_with_an_interval(report: dict[str, Any]) -> None:
    mine = next(system for system in report["systems"] if system["name"] == "mine")
    assert mine["recall@50"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "users": 2}
    assert {"recall@50", "recall@100", "ndcg@50"} <= set(mine)


def test_a_student_is_set_against_every_baseline_by_difference_and_ratio(
    report: dict[str, Any],
) -> None:
    own = compared(report, "L", "own signals")["recall@50"]
    assert own["difference"]["mean"] == 0.5
    assert own["ratio"]["mean"] == 2.0
    assert own["ratio"]["high"] is None, "a resample in which own signals find nothing is infinite"


@pytest.mark.parametrize(
    ("cut", "reading"),
    [("tf-idf, as many as mine", "L"), ("own signals, as many as mine (S)", "S")],
)
def test_a_baseline_of_as_many_queries_meets_that_student_in_one_reading(
    report: dict[str, Any], cut: str, reading: str
) -> None:
    met = [
        (pair["system"], pair["reading"])
        for pair in report["comparisons"]
        if pair["against"] == cut
    ]
    assert met == [("mine", reading)]
    assert cut not in {row["name"] for row in report["by_signals"]}


def test_a_ratio_over_nothing_is_left_out(report: dict[str, Any]) -> None:
    against = compared(report, "L", "poor")["recall@50"]
    assert against["ratio"] is None
    assert against["difference"]["mean"] == 1.0


def test_cold_users_stand_apart(report: dict[str, Any]) -> None:
    rows = {(row["name"], row["signals"]): row for row in report["by_signals"]}
    assert rows["mine", "up to 3"]["cold"]
    assert rows["mine", "up to 3"]["users"] == 1
    assert not rows["mine", "4–8"]["cold"]


def test_several_impressions_of_one_person_count_as_one(done: Evaluation) -> None:
    users = tuple(replace(user, person="the same") for user in READERS)
    found = figures(replace(done, data=replace(done.data, users=users)), 1)
    assert all(system["recall@50"]["users"] == 1 for system in found["systems"])


def test_a_measure_that_is_not_defined_for_somebody_leaves_them_out(done: Evaluation) -> None:
    values = {"recall@50": np.array([1.0, 0.0]), "auc": np.array([0.75, np.nan])}
    systems = tuple(replace(system, measured=values) for system in done.systems)
    found = figures(replace(done, systems=systems), 1)
    assert found["systems"][0]["auc"]["mean"] == 0.75
    assert found["systems"][0]["auc"]["users"] == 1


def test_the_folder_holds_figures_lists_and_text(
    tmp_path: Path, done: Evaluation, report: dict[str, Any]
) -> None:
    folder = tmp_path / "report"
    write_report(folder, report, done)
    read = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert read["systems"] == report["systems"]
    assert {"command", "date", "commit", "bootstrap_seed", "own_weight"} <= set(read["run"])
    rows = [json.loads(row) for row in (folder / "lists.jsonl").read_text("utf-8").splitlines()]
    assert [row["user"] for row in rows] == ["anna", "ben"]
    assert rows[0]["signals"][0]["text"] == "crossing a fjord"
    assert [query["text"] for query in rows[1]["queries"]["mine"]] == ["sourdough", "bread"]
    assert SIMULATED in (folder / "report.md").read_text(encoding="utf-8")


def test_a_report_is_replaced_and_any_other_folder_is_left_alone(
    tmp_path: Path, done: Evaluation, report: dict[str, Any]
) -> None:
    folder = tmp_path / "report"
    write_report(folder, report, done)
    write_report(
        folder,
        {**report, "simulated": False, "again": True, "data": {"measured": 1, "persons": 1}},
        done,
    )
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["again"]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(InvalidInput, match="is no report"):
        write_report(tmp_path / "notes", report, done)
    assert (tmp_path / "notes" / "mine.txt").read_text(encoding="utf-8") == "kept"


def test_a_failed_report_leaves_nothing_behind(
    tmp_path: Path, done: Evaluation, report: dict[str, Any]
) -> None:
    with pytest.raises(KeyError):
        write_report(tmp_path / "report", {**report, "run": {}}, done)
    assert list(tmp_path.iterdir()) == []


def test_an_infinite_ratio_is_shown_as_such(report: dict[str, Any]) -> None:
    assert "∞" in markdown(report, [])


def test_what_each_part_brings_is_the_paired_difference_to_what_is_served(
    report: dict[str, Any],
) -> None:
    mine = next(row for row in report["ablations"] if row["name"] == "mine")
    the_list = next(part for part in mine["parts"] if part["part"] == "the list")
    served, without = mine["as_served"]["recall@50"], the_list["without"]["recall@50"]
    brought = the_list["brings"]["recall@50"]["difference"]
    assert brought["mean"] == served["mean"] - without["mean"] == 0.5
    assert brought["low"] <= brought["mean"] <= brought["high"]
    assert "| the list | mine | recall@50 |" in markdown(report, [])


def test_of_a_log_what_is_served_stands_beside_popularity() -> None:
    shown = (("ferry+1", True), ("chess+1", False))
    log = replace(
        small_set(*(replace(user, shown=shown) for user in READERS)),
        simulated=False,
        about={"source": "a log", "measured": 2, "persons": 2},
    )
    found = figures(evaluate_systems(log, {"mine": LISTS}), 1)
    rows = {(row["name"], row["reading"]): row for row in found["beside_popularity"]}
    assert set(rows) == {
        ("popularity", "L"),
        *((name, reading) for name in ("tf-idf", "heuristic", "mine") for reading in "SP"),
        *(("own signals", reading) for reading in "LP"),
    }
    popular, mine = rows["popularity", "L"], rows["mine", "S"]
    for measure in ("recall@50", "auc"):
        gap = mine[measure]["mean"] - popular[measure]["mean"]
        assert mine["against_popularity"][measure]["difference"]["mean"] == pytest.approx(gap)
    run = about_this_run(["mine"], 1, 1.0)
    whole = {"simulated": False, "data": dict(log.about), "run": run, "lists": {}, **found}
    assert "## Beside popularity" in markdown(whole, [])
    console = Console(width=200, record=True, file=io.StringIO())
    print_report(whole, console)
    text = console.export_text()
    assert "to popularity's" in text
    assert "recall@50 that S owes to" in text


def test_with_an_encoder_lists_are_set_apart_by_how_they_were_searched() -> None:
    data = replace(
        small_set(reader("ben", "bread", signal("croissant", 0))),
        about={"source": "by hand", "users": 1, "split": "test", "mix": "hard"},
    )
    model = cast(OnnxModel, Meanings())
    done = evaluate_systems(data, {"mine": {"ben": queries("sourdough")}}, encoder=model)
    found = figures(done, 1)
    rows = {(row["name"], row["reading"]): row for row in found["searched_by"]}
    assert set(rows) == {
        ("own signals", "L"),
        *((name, reading) for name in ("tf-idf", "heuristic", "mine") for reading in "LS"),
    }
    own = rows["own signals", "L"]
    assert own["by"]["words"]["recall@50"]["mean"] == 0.0
    assert own["by"]["meaning"]["recall@50"]["mean"] == 1.0
    assert own["both_against_words"]["recall@50"]["difference"]["mean"] == 1.0
    assert own["both_against_words"]["recall@50"]["ratio"] is None, "words find nothing"
    mine = rows["mine", "S"]["both_against_words"]["recall@50"]
    assert mine["ratio"]["mean"] == 1.0
    run = about_this_run(["mine"], 1, 1.0, "meanings@1")
    whole = {"simulated": True, "data": dict(data.about), "run": run, "lists": {}, **found}
    assert "| mine (S) | recall@50 | 1.000 [1.000, 1.000] |" in markdown(whole, [])


def test_what_lists_look_like_is_counted() -> None:
    users = {
        "a": [signal("Chess champion", 0)],
        "b": [signal("oysters", 1)],
        "c": [signal("oysters", 2)],
        "d": [],
    }
    lists = {
        "a": queries("champions chess", "chess final"),
        "b": queries("harbour seals"),
        "c": queries("harbour seals"),
    }
    found = list_figures(users, lists)
    assert found["valid"] == 1.0, "a user without signals is not asked"
    assert found["queries"] == pytest.approx(4 / 3)
    assert found["distinct_lists"] == pytest.approx(2 / 3)
    assert found["copied"] == 0.25
    assert found["repeated_stems"] == pytest.approx(1 / 8)
    assert list_figures(users, {})["valid"] == 0.0


def test_where_the_words_of_lists_come_from_is_counted() -> None:
    said = [
        "battery ferry",
        "ferry harbour",
        "chess final",
        "chess opening",
        "printer ink",
        "oysters",
    ]
    users = {"a": [signal(text, place) for place, text in enumerate(said)], "b": []}
    sources = {"a": (1, 1, 2, 2, None, 3), "b": ()}
    lists = {"a": queries("battery harbour", "chess printer", "ferry opening")}
    found = origin_figures(users, sources, lists)
    assert found["noise"] == pytest.approx(1 / 3), "a printer is nobody's interest"
    assert found["joined"] == pytest.approx(1 / 3), "ferries and openings are two"
    assert found["covered"] == 1.0, "oysters were met once"
    assert origin_figures(users, sources, {"a": queries("chess")})["covered"] == 0.5
    assert set(origin_figures(users, sources, {}).values()) == {0.0}


def test_a_word_that_noise_and_an_interest_share_is_held_against_no_query() -> None:
    users = {"a": [signal("ferry harbour", 0), signal("ferry bread", 1)]}
    found = origin_figures(users, {"a": (1, None)}, {"a": queries("ferry harbour")})
    assert found["noise"] == 0.0


def test_how_many_signals_of_interests_and_of_noise_are_named_is_counted() -> None:
    said = ["battery ferry", "ferry harbour", "printer ink", "parcel"]
    signals = [signal(text, place) for place, text in enumerate(said)]
    signals[1] = replace(signals[1], domain="news")
    signals[2] = replace(signals[2], domain="news")
    sources = {"a": (1, 1, None, None), "b": ()}
    lists = {"a": [Query("ferry", signals=(signals[0].id, signals[1].id)), Query("ink")]}
    found = named_figures({"a": signals, "b": []}, sources, lists)
    assert found == {
        "interest_named": 1.0,
        "noise_named": 0.0,
        "headlines_named": 1.0,
        "noise_headlines_named": 0.0,
    }
    parcel = {"a": [Query("parcel", signals=(signals[3].id,))]}
    found = named_figures({"a": signals, "b": []}, sources, parcel)
    assert found["interest_named"] == 0.0
    assert found["noise_named"] == 0.5
    assert found["noise_headlines_named"] == 0.0
    assert set(named_figures({"b": []}, sources, {}).values()) == {0.0}
