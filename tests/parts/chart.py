"""What of the chart is made from other files: `python -m tests.parts.chart` writes it anew.

The table of values in the chart's README comes from `values.yaml` and its comments, and what
`gateway.settings` may hold, in `values.schema.json`, from the gateway's own settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from service.settings import Settings

CHART = Path(__file__).parents[2] / "helm" / "interests"
README, VALUES, SCHEMA = CHART / "README.md", CHART / "values.yaml", CHART / "values.schema.json"
_TABLE = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- end of values -->)", re.DOTALL)
_GROUP = re.compile(r"# @group (.+)")
_KEPT = ("type", "minimum", "maximum", "enum", "pattern", "anyOf", "description")


def readme_with_table() -> str:
    """The README with the table of today's values."""
    return _TABLE.sub(lambda _: table(), README.read_text(encoding="utf-8"))


def schema_with_settings() -> str:
    """The schema with today's settings of the gateway."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    schema["properties"]["gateway"]["properties"]["settings"] = _settings()
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def table() -> str:
    """Every value with its default and meaning, a table for each group of `values.yaml`."""
    text = VALUES.read_text(encoding="utf-8")
    lines, groups = text.splitlines(), dict[str, list[str]]()
    for line, path, default in leaves(yaml.compose(text), ()):
        shown = f"`{default}`" if default else ""
        row = f"| `{path}` | {shown} | {_said_above(lines, line)} |"
        groups.setdefault(_group_of(lines, line), []).append(row)
    head = "| value | default | meaning |\n| --- | --- | --- |\n"
    return "\n" + "\n".join(
        f"### {name}\n\n{head}" + "\n".join(rows) + "\n" for name, rows in groups.items()
    )


def leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[int, str, str]]:
    """Line, path and default of every value that stands by itself."""
    for key, value in node.value:
        here = (*path, key.value)
        if isinstance(value, yaml.MappingNode) and not value.flow_style and here[-1] != "resources":
            yield from leaves(value, here)
        else:
            held = yaml.safe_load(yaml.serialize(value))
            default = "" if held == "" else json.dumps(held)
            yield key.start_mark.line, ".".join(here), default


def _said_above(lines: list[str], line: int) -> str:
    """The comment directly above a line."""
    said: list[str] = []
    for above in reversed(lines[:line]):
        text = above.strip()
        if not text.startswith("#") or _GROUP.fullmatch(text):
            break
        said.insert(0, text.removeprefix("#").strip())
    return " ".join(said).replace("|", "\\|")


def _group_of(lines: list[str], line: int) -> str:
    """The group that a line stands in."""
    return [opened[1] for above in lines[:line] if (opened := _GROUP.fullmatch(above.strip()))][-1]


def _settings() -> dict[str, Any]:
    properties = Settings.model_json_schema()["properties"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {key: field[key] for key in _KEPT if key in field and "$ref" not in str(field)}
            for name, field in properties.items()
        },
    }


if __name__ == "__main__":
    README.write_text(readme_with_table(), encoding="utf-8")
    SCHEMA.write_text(schema_with_settings(), encoding="utf-8")
