"""What of the chart is written by hand twice, or made from other files, is the same everywhere."""

from __future__ import annotations

import yaml

from service import __version__
from tests.parts.chart import CHART, README, SCHEMA, readme_with_table, schema_with_settings


def test_the_readmes_table_is_made_of_todays_values() -> None:
    """`python -m tests.parts.chart` writes it anew."""
    assert README.read_text(encoding="utf-8") == readme_with_table()


def test_the_schema_knows_the_gateways_settings_of_today() -> None:
    """`python -m tests.parts.chart` writes them anew."""
    assert SCHEMA.read_text(encoding="utf-8") == schema_with_settings()


def test_the_chart_is_of_the_products_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__
