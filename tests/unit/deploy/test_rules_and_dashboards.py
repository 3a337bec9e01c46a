"""Rules, dashboards and runbooks name what the code exports, and each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.build import DASHBOARDS, FOLDER, rendered
from tests.parts.exported import OF_PROMETHEUS, SCRAPED, exported, values
from tests.parts.promql import named
from tests.parts.require import missing_part

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "docs" / "operating" / "alerts"
PAGES = [
    *sorted(RUNBOOKS.glob("*.md")),
    *(RUNBOOKS.parent / f"{page}.md" for page in ("slos", "dashboards")),
]
GROUPS = yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
NAMES = sorted({rule["alert"] for rule in ALERTS})
METRIC = re.compile(r"\b(?:interests|process|python_gc)_\w+|\binterests:\w+:\w+|\bvllm:\w+")
PROMQL = re.compile(r"^```promql\n(.*?)^```", re.DOTALL | re.MULTILINE)
EXPORTED = exported()


def dashboards() -> list[dict[str, Any]]:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    assert found
    return found


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def expressions() -> Iterator[tuple[str, str, str]]:
    """Place, expression, and the legend or the texts that name its labels, of all there are."""
    for rule in RULES:
        texts = "\n".join(rule.get("annotations", {}).values())
        yield rule.get("alert") or rule["record"], rule["expr"], texts
    for dashboard in dashboards():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                place = f"{dashboard['uid']}: {panel['title']}"
                yield place, target["expr"], target["legendFormat"]
        for annotation in dashboard["annotations"]["list"]:
            yield dashboard["uid"], annotation["expr"], annotation["titleFormat"]
    for page in PAGES:
        for block in PROMQL.findall(page.read_text(encoding="utf-8")):
            yield page.name, block, ""


def of_vllm() -> str:
    """The source in which vLLM defines its metrics."""
    found = sorted(ROOT.glob(".venv-engine/lib/python*/site-packages/vllm/v1/metrics/loggers.py"))
    return found[0].read_text(encoding="utf-8") if found else missing_part("vLLM", "`make engine`")


def labels_of(metric: str) -> frozenset[str] | None:
    """The labels of a series' name; None where nothing exports it."""
    if metric in RECORDED:
        return frozenset()
    if metric in OF_PROMETHEUS:
        return OF_PROMETHEUS[metric]
    if metric.startswith("vllm:"):
        base = re.sub(r"_(total|bucket|sum|count)$", "", metric)
        assert f'name="{base}"' in of_vllm() or f'name="{metric}"' in of_vllm(), metric
        return SCRAPED | {"le", "model_name"}
    return EXPORTED[metric] | SCRAPED if metric in EXPORTED else None


@pytest.mark.parametrize(
    ("expression", "texts"),
    [pytest.param(expression, texts, id=place) for place, expression, texts in expressions()],
)
def test_an_expression_names_metrics_labels_and_values_that_the_code_exports(
    expression: str, texts: str
) -> None:
    found = named(expression)
    assert found.selectors
    known: set[str] = set()
    for selector in found.selectors:
        labels = labels_of(selector.metric)
        assert labels is not None, f"nothing exports {selector.metric}"
        known |= labels
        for label, operator, value in selector.matchers:
            assert label in labels, f"{selector.metric} has no label {label}"
            there = values(selector.metric, label)
            if there is not None:
                exact = re.escape(value) if operator in {"=", "!="} else value
                assert any(re.fullmatch(exact, one) for one in there), f"{label} is never {value}"
    assert found.grouped <= known
    shown = set(re.findall(r"\{\{ ?\$labels\.(\w+)", texts))
    shown |= set(re.findall(r"\{\{(\w+)\}\}", texts))
    assert shown <= known
    if "by (" in expression:
        assert shown <= found.grouped, "a label that the sum has not kept"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_names_metrics_that_are_there(page: Path) -> None:
    unknown = [
        name
        for name in METRIC.findall(page.read_text(encoding="utf-8"))
        if not any(
            labels_of(whole) is not None
            for whole in (name, f"{name}_total", f"{name}_count", f"{name}ratio_rate5m")
        )
    ]
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_names_settings_that_are_there(page: Path) -> None:
    there = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    named_here = re.findall(r"`(INTERESTS_[A-Z_<>]+)", page.read_text(encoding="utf-8"))
    assert not [name for name in named_here if f"`{name}`" not in there]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']}")
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket", "info"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert ROOT / rule["annotations"]["runbook_url"] == RUNBOOKS / f"{rule['alert']}.md"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert sorted(page.stem for page in RUNBOOKS.glob("*.md") if page.stem != "README") == NAMES
    index = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| \[(\w+)\]\(\1\.md\)", index, re.MULTILINE)) == NAMES
    severe = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == "page"}
    listed = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| page", index, re.MULTILINE)
    assert set(listed) == severe


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_says_what_it_means_how_to_look_what_to_do_and_when_it_is_over(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    heads = ["What it means", "How to look", "What to do", "How to know that it is over"]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == heads


@pytest.mark.parametrize("name", NAMES)
def test_what_says_that_it_is_over_is_not_said_by_others_while_one_is_still_down(name: str) -> None:
    # `min by (engine) (…) == 1` shows the engines that are fine, though another one is not.
    over = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8").partition("\n## How to know")[2]
    for query in re.findall(r"```promql\n(.+?)\n```", over, re.DOTALL):
        assert not re.match(r"\w+ by ", query), query


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']}")
def test_an_alert_has_a_test_in_which_it_fires_and_one_in_which_it_is_silent(
    rule: dict[str, Any],
) -> None:
    labels = {"alertname": rule["alert"], **rule["labels"]}
    fires, silent = False, False
    for path in (PROMETHEUS / "tests").glob("*.yml"):
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for step in test["promql_expr_test"]:
                assert step["expr"].startswith("count by (alertname, severity, burn) (ALERTS{")
                expected = [
                    {
                        label: value
                        for label, _, value in named(one["labels"] and "x" + one["labels"])
                        .selectors[0]
                        .matchers
                    }
                    for one in step["exp_samples"]
                ]
                fires |= labels in expected
                silent |= rule["alert"] in test["name"] and labels not in expected
    assert fires
    assert silent


def test_the_dashboards_are_as_the_code_writes_them() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert written == {f"{one.name}.json": rendered(one) for one in DASHBOARDS}, (
        "run `python -m deploy.grafana.build`"
    )


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: str(dashboard["uid"]))
def test_panels_have_ids_and_places_of_their_own_and_a_text(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells
    assert all(panel["description"].endswith(".") for panel in panels(dashboard))
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: str(dashboard["uid"]))
def test_a_variable_that_a_panel_uses_is_one_of_its_dashboard(dashboard: dict[str, Any]) -> None:
    there = {one["name"] for one in dashboard["templating"]["list"]} | {"__rate_interval", "__all"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))
    assert used <= there
