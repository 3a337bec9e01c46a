"""The pages that show a dashboard's queries without Grafana."""

from __future__ import annotations

import re

import pytest

from deploy.grafana.build import DASHBOARDS
from deploy.grafana.drawing import Series, graph, named_by, page, shown, stat
from deploy.grafana.panels import Dashboard, Panel, Query

POINTS = tuple((float(at), at * at / 1000) for at in range(0, 101, 2))


def panel(stacked: bool = False, steps: tuple[float, ...] = ()) -> Panel:
    return Panel("Title", "What.", (Query("up"),), stacked=stacked, steps=steps)


def corners(drawn: str, kind: str) -> list[list[tuple[float, float]]]:
    lines = re.findall(rf'<{kind} points="([^"]+)"', drawn)
    pairs = ([one.split(",") for one in line.split()] for line in lines)
    return [[(float(x), float(y)) for x, y in line] for line in pairs]


def test_lines_stay_in_their_frame_and_rise_with_their_values() -> None:
    drawn = graph(
        panel(),
        [Series("a", POINTS), Series("b", tuple((at, at / 20 + 1e-7) for at, _ in POINTS))],
        0,
        100,
    )
    for line in corners(drawn, "polyline"):
        assert all(0 <= x <= 480 and 0 <= y <= 200 for x, y in line)
        heights = [y for _, y in line]
        assert heights == sorted(heights, reverse=True), "above is less, in SVG"


@pytest.mark.parametrize("most", [0.0, 3e-9, 0.004, 0.99, 1.0, 9.5, 123_456.0])
def test_the_highest_value_is_inside_whatever_it_is(most: float) -> None:
    (((_, y),),) = corners(graph(panel(), [Series("a", ((1, most),))], 0, 1), "polyline")
    assert 0 <= y <= 200


def test_a_line_is_cut_where_there_is_nothing() -> None:
    held = [point for point in POINTS if not 20 < point[0] < 60]
    pieces = corners(graph(panel(), [Series("a", tuple(held))], 0, 100), "polyline")
    assert [len(piece) for piece in pieces] == [11, 21]


def test_stacked_areas_stand_on_each_other() -> None:
    drawn = graph(panel(stacked=True), [Series("a", POINTS), Series("b", POINTS)], 0, 100)
    upper, lower = corners(drawn, "polygon")
    assert upper[20][1] < lower[20][1]


def test_a_panel_without_series_says_so() -> None:
    assert "no data" in stat(panel(), [])
    assert "no data" in graph(panel(), [], 0, 1)


def test_a_large_value_has_the_colour_of_its_step() -> None:
    colours = [
        re.findall("background: (#[0-9a-f]+)", stat(panel(steps=(1, 5)), [Series("", ((0, n),))]))
        for n in (0, 1, 4, 5)
    ]
    assert colours[1] == colours[2]
    assert len({str(one) for one in colours}) == 3


def test_series_are_named_and_values_shown_in_their_unit() -> None:
    assert named_by("{{a}} of {{b}}", {"a": "x"}) == "x of "
    assert named_by("", {"b": "2", "a": "1"}) == "a=1, b=2"
    assert shown(0.0144, "percentunit") == "1.44 %"
    assert shown(0.25, "s") == "250 ms"
    assert shown(12, "reqps") == "12/s"
    assert shown(2_500, "short") == "2,500"
    assert shown(3 * 2**20, "bytes") == "3 MiB"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_every_panel_of_a_dashboard_is_on_its_page(dashboard: Dashboard) -> None:
    panels = [one for row in dashboard.rows for one in row.panels]
    drawn = page(dashboard, {one.title: [Series("<b>", POINTS)] for one in panels}, 0, 100)
    assert drawn.count("<section") == len(panels)
    assert "&lt;b&gt;" in drawn
