"""`interests settings`: every setting is listed with what it means, here as in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from service.cli import app
from service.commands.settings import settings_page
from service.settings import Settings
from service.settings_groups import (
    EncoderSettings,
    KeySettings,
    StudentSettings,
    TlsSettings,
    TracingSettings,
)


def test_the_settings_page_is_the_one_in_docs() -> None:
    page = Path(__file__).parents[4] / "docs" / "settings.md"
    assert page.read_text() == settings_page(), "interests settings --markdown > docs/settings.md"


@pytest.mark.parametrize(
    "model",
    [Settings, StudentSettings, EncoderSettings, KeySettings, TlsSettings, TracingSettings],
)
def test_every_setting_says_what_it_means(model: type[BaseModel]) -> None:
    # Their fields have a table of their own.
    groups = {"redis_tls", "opensearch_tls", "tls", "encoder", "tracing"}
    silent = {name for name, field in model.model_fields.items() if not field.description}
    assert silent <= groups


def test_every_setting_is_listed_with_its_default_and_meaning() -> None:
    result = CliRunner().invoke(app, ["settings"])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    rows = [
        line.split("|")[1:-1] for line in settings_page().splitlines() if line.startswith("| `")
    ]
    assert len(rows) > 40
    for variable, default, meaning in rows:
        at = lines.index(f"{variable.strip(' `')}  {default.strip(' `')}".strip())
        assert lines[at + 1].strip() == meaning.strip()
