"""`interests settings`: every setting, from the code itself."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.settings import Settings
from service.settings_groups import (
    EncoderSettings,
    KeySettings,
    StudentSettings,
    TlsSettings,
    TracingSettings,
)

_HEAD = """# Settings

Generated from the code by `interests settings --markdown`; a test keeps the two the same. Each is
an environment variable, a line in `.env`, or a key of the YAML file named by `INTERESTS_CONFIG`
(the first of these that has it wins). In that file `INTERESTS_STUDENTS__MAIN__WINDOW` is `window`
under `main` under `students`. Paths are relative to the working directory.

What is unknown, wrong or out of its bounds ends every command with one line, which names it as it
was given, and exit code 2.

In Kubernetes a Service called `interests` sets `INTERESTS_PORT` to a URL in every pod of its
namespace: set `enableServiceLinks: false` in the gateway's pod, or give the Service another name.
"""

_NESTED: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("A student", "INTERESTS_STUDENTS__<KEY>__", StudentSettings),
    ("The encoder", "INTERESTS_ENCODER__", EncoderSettings),
    ("Traces", "INTERESTS_TRACING__", TracingSettings),
    ("A caller's key", "INTERESTS_KEYS__<NAME>__", KeySettings),
    (
        "TLS to a part: `<PART>` is `REDIS_TLS`, `OPENSEARCH_TLS`, `STUDENTS__<KEY>__TLS` or "
        "`ENCODER__TLS`",
        "INTERESTS_<PART>__",
        TlsSettings,
    ),
)


def settings(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As the page docs/settings.md.")
    ] = False,
) -> None:
    """List every setting with its default and meaning."""
    if markdown:
        typer.echo(settings_page(), nl=False)
        return
    # Lines, not a table: its columns would cut names and values where a terminal is narrow.
    nested = (row for _, prefix, model in _NESTED for row in _rows(prefix, model))
    for name, default, meaning in (*_rows("INTERESTS_", Settings), *nested):
        typer.echo(f"{name}  {default}".rstrip())
        typer.echo(f"    {meaning}")


def settings_page() -> str:
    """The text of docs/settings.md."""
    parts = [_HEAD, "## The gateway\n", _markdown("INTERESTS_", Settings)]
    for title, prefix, model in _NESTED:
        parts += [f"## {title}\n", _markdown(prefix, model)]
    return "\n".join(parts)


def _markdown(prefix: str, model: type[BaseModel]) -> str:
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    lines += [
        f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |"
        for name, default, meaning in _rows(prefix, model)
    ]
    return "\n".join(lines) + "\n"


def _rows(prefix: str, model: type[BaseModel]) -> list[tuple[str, str, str]]:
    return [
        (prefix + name.upper(), _default(field), field.description)
        for name, field in model.model_fields.items()
        if field.description  # the groups without one are listed apart
    ]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return ""
    return ",".join(value) if isinstance(value, tuple) else str(value)
