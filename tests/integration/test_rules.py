"""promtool on the rules, on their tests, and on every expression of dashboards and runbooks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.parts.prometheus import FASTER, RULES, hastened, program
from tests.unit.deploy.test_rules_and_dashboards import expressions

TESTS = sorted((RULES.parent / "tests").glob("*.yml"))


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_rules_are_rules() -> None:
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TESTS, ids=[path.name for path in TESTS])
def test_each_alert_fires_when_it_should_and_alone(path: Path) -> None:
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_expression_of_dashboards_and_runbooks_is_promql(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"checked:{number}",
            "expr": expression.replace("$__rate_interval", "5m").replace("$student", ".*"),
            "labels": {"place": place},
        }
        for number, (place, expression, _) in enumerate(expressions())
    ]
    path = tmp_path / "expressions.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "checked", "rules": rules}]}))
    done = promtool("check", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_copy_of_the_rules_with_shorter_windows_differs_in_nothing_else(tmp_path: Path) -> None:
    copy = tmp_path / "rules.yml"
    copy.write_text(hastened(RULES.read_text(encoding="utf-8"), FASTER), encoding="utf-8")
    done = promtool("check", "rules", str(copy))
    assert done.returncode == 0, done.stdout + done.stderr
    pairs = zip(RULES.read_text().splitlines(), copy.read_text().splitlines(), strict=True)
    changed = [(was, now) for was, now in pairs if was != now]
    assert changed
    assert all("[" in was or was.strip().startswith("for: ") for was, _ in changed)
