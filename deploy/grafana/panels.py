"""Panels and dashboards, and the JSON that Grafana imports of them. Nothing here knows a metric.

The JSON is Grafana's dashboard model, as its manual describes it:
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COLUMNS = 24
_HEIGHT = 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_SCHEMA = 39


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and what its series are called: `{{label}}` stands for a label."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph, or with `kind` `stat` the newest value in large.

    `unit` is Grafana's word: `percentunit` (1 is 100 %), `s`, `bytes`, `reqps`, `short`.
    `steps`: values from which on it is yellow and red; none: always the same colour.
    """

    title: str
    what: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    steps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A headline and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`choices`: variables of the dashboard, by name: the query that lists their values."""

    name: str
    title: str
    what: str
    rows: tuple[Row, ...]
    choices: tuple[tuple[str, str], ...] = ()


def to_json(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "uid": f"interests-{dashboard.name}",
        "title": dashboard.title,
        "description": dashboard.what,
        "tags": ["interests"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": "now-3h", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "interests",
                "tags": ["interests"],
                "asDropdown": False,
                "includeVars": False,
                "keepTime": True,
            }
        ],
        "annotations": {"list": [_alerts()]},
        "templating": {"list": [_source(), *(_choice(*one) for one in dashboard.choices)]},
        "panels": _placed(dashboard.rows),
    }


def _placed(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """The panels from left to right in lines of 24 columns, each row below the one before it."""
    placed: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        head = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        placed.append({"id": len(placed) + 1, **head, "gridPos": place})
        top, left, height = top + 1, 0, 0
        for panel in row.panels:
            tall = _HEIGHT // 2 if panel.kind == "stat" else _HEIGHT
            if left + panel.width > COLUMNS:
                top, left, height = top + height, 0, 0
            place = {"x": left, "y": top, "w": panel.width, "h": tall}
            placed.append({"id": len(placed) + 1, **_panel(panel), "gridPos": place})
            left, height = left + panel.width, max(height, tall)
        top += height
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    graph = panel.kind == "timeseries"
    colours = zip(("yellow", "red"), panel.steps, strict=False)
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    steps += [{"color": colour, "value": value} for colour, value in colours]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "palette-classic" if graph else "thresholds"},
    }
    if graph:
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 30 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
        }
        options: dict[str, Any] = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    else:
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background",
            "graphMode": "area",
        }
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.what,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
                "range": True,
            }
            for number, query in enumerate(panel.queries)
        ],
    }


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }


def _choice(name: str, values: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "definition": values,
        "query": {"query": values, "refId": "values"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }


def _alerts() -> dict[str, Any]:
    """A mark at every moment at which an alert fires."""
    return {
        "name": "alerts",
        "enable": True,
        "iconColor": "red",
        "datasource": _SOURCE,
        "expr": 'ALERTS{alertname=~"Interests.+", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "tagKeys": "severity",
        "step": "60s",
    }
