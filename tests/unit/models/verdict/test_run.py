"""Whole reports: from a folder of events to the words, and to pages that hold them."""

from __future__ import annotations

import re
from base64 import b64decode
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
import pytest

from models.verdict import run
from models.verdict.looks import MOST_LOOKS, look_days
from models.verdict.report.write import write_report
from models.verdict.run import judge, report
from models.verdict.surrogate import early, halves
from models.verdict.users import FIRST
from service.errors import ConfigurationError, InvalidInput
from tests.unit.models.verdict.builders import KEY, write_experiment
from tests.unit.models.verdict.simulated import simulated

Json = dict[str, Any]
EVEN = {"control": 250, "other": 250}


@cache
def of_events(rate: float, slow_ms: float = 500.0, others: int = 250) -> Json:
    """The report of two arms of whom the control clicks a tenth of what is shown."""
    with TemporaryDirectory() as folder:
        users = {"control": 250, "other": others}
        write_experiment(Path(folder), users, rates={"control": 0.1, "other": rate})
        return report(KEY, Path(folder), day_s=86_400, slow_ms=slow_ms)


def only(said: Json) -> Json:
    """The one comparison of a report."""
    (one,) = said["comparisons"]
    found: Json = one
    return found


@pytest.mark.parametrize(
    ("rate", "word"), [(0.2, "better"), (0.05, "worse"), (0.1, "no difference seen yet")]
)
def test_events_become_words(rate: float, word: str) -> None:
    said = of_events(rate)
    assert only(said)["verdict"] == word
    assert said["arms"] == EVEN
    assert said["period"]["days"] == len(only(said)["looks"]) == 2


def test_an_arm_that_too_few_users_got_is_broken() -> None:
    said = of_events(0.2, others=120)
    assert only(said)["verdict"] == "broken: sample ratio"
    assert said["sample_ratio"]["looks"][0]["p_value"] < 0.01


def test_guardrails_are_of_the_answers(tmp_path: Path) -> None:
    write_experiment(tmp_path, EVEN, rates=dict.fromkeys(EVEN, 0.1), degraded=["late"])
    rows = {row["name"]: row for row in only(report(KEY, tmp_path, day_s=86_400, slow_ms=10))[
        "guardrails"
    ]}  # fmt: skip
    assert rows["degraded"]["effect"]["control"] == rows["slow"]["effect"]["other"] == 1
    assert rows["empty"]["effect"]["control"] == 0
    assert rows["coverage"]["effect"]["control"] == 1
    assert {row["state"] for row in rows.values()} <= {"holds", "not known yet"}


def test_an_arm_that_breaks_a_guardrail_is_not_called_better() -> None:
    users = simulated(4_000, lift=0.5)
    slow = users.done[:, 2]
    slow[:] = (users.arm[users.user] == 1) * users.done[:, 0]
    assert only(judge(KEY, users))["verdict"] == "guardrail breached"


def test_several_arms_share_the_level() -> None:
    users = simulated(3_000, arms=("a", "b", "control"))
    said = judge(KEY, users)
    assert [one["arm"] for one in said["comparisons"]] == ["a", "b"]
    assert said["level_of_an_arm"] == said["level"] / 2


def test_segments_are_of_all_users_and_corrected_together() -> None:
    users = simulated(4_000, lift=0.5)
    rows = {row["segment"]: row for row in only(judge(KEY, users))["segments"]}
    assert rows["cold: fewer than 4 signals"]["users"] + rows["warm"]["users"] == 4_000
    assert sum(row["users"] for name, row in rows.items() if "mostly" in name) == 4_000
    for row in rows.values():
        assert row["corrected_p_value"] >= row["effect"]["p_value"]


def test_users_seen_before_narrow_the_interval() -> None:
    (row, *_) = only(judge(KEY, simulated(4_000, history=True)))["metrics"]
    assert 0.1 < row["variance_removed"] < 1
    (row, *_) = only(judge(KEY, simulated(4_000)))["metrics"]
    assert row["variance_removed"] is None


def test_what_is_done_to_an_experiment_while_it_runs_is_told(tmp_path: Path) -> None:
    write_experiment(tmp_path, EVEN, rates=dict.fromkeys(EVEN, 0.1))
    told = "Paused on Monday by <ops>."
    said = report(KEY, tmp_path, day_s=86_400, slow_ms=500, interventions=[told])
    write_report(tmp_path / "out", said)
    assert told in (tmp_path / "out/report.md").read_text()
    assert "Paused on Monday by &lt;ops&gt;." in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("days", [1, 2, 59, 60, 61, 1_000])
def test_there_are_not_more_looks_than_can_be_read_and_the_last_day_is_one(days: int) -> None:
    found = look_days(days)
    assert found[-1] == days - 1
    assert found[0] >= 0
    assert len(found) == len(set(found)) <= MOST_LOOKS
    assert days > MOST_LOOKS or len(found) == days


def test_an_effect_that_turns_round_is_not_foretold() -> None:
    users = simulated(6_000, lift=1.0)
    late = users.day >= users.days // 2
    clicks = users.done[:, 8]
    clicks[late & (users.arm[users.user] == 1)] = 0.1
    found = halves(users, "control", "other", 0.05)
    assert found is not None
    assert not found.foretold
    steady = halves(simulated(6_000), "control", "other", 0.05)
    assert steady is not None
    assert steady.foretold


def test_users_who_stay_as_they_are_are_foretold_by_their_first_day() -> None:
    users = simulated(1_000)
    own = np.linspace(0.1, 0.9, 1_000)
    users.first[:] = np.column_stack([np.full(1_000, 10), 10 * own, np.full(1_000, 5), 5 * own])
    found = early(users)
    assert found is not None
    assert found.correlation == pytest.approx(1.0)
    users.first[:, FIRST.index("later_impressions")] = 0
    assert early(users) is None


class Page(HTMLParser):
    """Tags that are open, words, pictures, and whatever would need another file."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.pictures: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)
        kind, _, data = (dict(attrs).get("src") or "").partition(";base64,")
        if tag == "img" and kind == "data:image/svg+xml":
            self.pictures.append(b64decode(data).decode())
        elif tag in ("script", "link", "img", "iframe", "a"):
            self.outside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_needs_no_other_file_and_says_what_the_others_say(tmp_path: Path) -> None:
    said = judge(KEY, simulated(4_000, lift=0.5, history=True))
    said |= {"slow_ms": 500.0, "interventions": []}
    write_report(tmp_path / "out", said)
    assert orjson.loads((tmp_path / "out/report.json").read_bytes()) == orjson.loads(
        orjson.dumps(said)
    )
    page = Page()
    page.feed((tmp_path / "out/report.html").read_text())
    assert page.open == []
    assert page.outside == []
    assert len(page.pictures) == 3
    assert all("</svg>" in picture for picture in page.pictures)
    text = " ".join(page.words)
    markdown = (tmp_path / "out/report.md").read_text()
    for words in ("better", "Click-through", "holds", "Sample ratio", "mostly news", "foretell"):
        assert words in text
        assert words in markdown
    assert run.headline(said)[0].startswith("other beside control: better. ")


def test_the_same_events_make_the_same_page(tmp_path: Path) -> None:
    said = judge(KEY, simulated(2_000)) | {"slow_ms": 500.0, "interventions": []}
    for name in ("a", "b"):
        write_report(tmp_path / name, said)
    assert (tmp_path / "a/report.html").read_bytes() == (tmp_path / "b/report.html").read_bytes()


def test_a_report_replaces_a_report_and_nothing_else(tmp_path: Path) -> None:
    said = judge(KEY, simulated(1_000)) | {"slow_ms": 500.0, "interventions": []}
    for _ in range(2):
        write_report(tmp_path / "out", said)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidInput, match=re.escape(f"{mine} exists and is no report")):
        write_report(mine, said)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    said = judge(KEY, simulated(1_000)) | {"slow_ms": 500.0, "interventions": []}
    (tmp_path / "file").write_text("")
    with pytest.raises((ConfigurationError, InvalidInput)):
        write_report(tmp_path / "file" / "out", said)
    with pytest.raises(TypeError):
        write_report(tmp_path / "out", said | {"unknown": object()})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
