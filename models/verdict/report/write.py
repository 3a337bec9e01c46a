"""Writes a report: a folder with report.html, report.md and report.json, whole or not at all."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import orjson

from models.verdict.report.plots import draw
from models.verdict.report.tables import Part, parts, table
from service.errors import InvalidInput
from service.folders import complete_folder

REPORT = "report.json"
_ROOM = 16 * 2**20
_NO_ROOM = "make room, or choose another place with --out"

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
h1, h2 { line-height: 1.2 }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem }
th, td { padding: 0.25rem 0.75rem; border-bottom: 1px solid #ddd; text-align: left }
td { font-variant-numeric: tabular-nums }
img { max-width: 100%; height: auto }
"""


def check_target(folder: Path) -> None:
    """Raise `InvalidInput` for a folder that holds something else than a report: it would go."""
    if not folder.exists() or (folder / REPORT).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise InvalidInput(f"{folder} exists and is no report; name another folder", field="--out")


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write the folder; one that holds a report is replaced.

    Raises `InvalidInput` for a folder with something else in it, `ConfigurationError` where the
    disk cannot take it.
    """
    check_target(folder)
    found, plots = parts(report), draw(report)
    title = f"Experiment {report['experiment']}"
    with complete_folder(folder, _ROOM, _NO_ROOM) as aside:
        (aside / REPORT).write_bytes(
            orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
        )
        (aside / "report.md").write_text(markdown(title, found), encoding="utf-8")
        (aside / "report.html").write_text(html(title, found, plots), encoding="utf-8")


def markdown(title: str, found: list[Part]) -> str:
    """The report without its plots."""
    lines = [f"# {title}"]
    for part in found:
        lines += ["", f"## {part.title}", *(line for one in part.sentences for line in ("", one))]
        if part.rows:
            lines += ["", *table(part.head, part.rows)]
    return "\n".join(lines) + "\n"


def html(title: str, found: list[Part], plots: Mapping[str, str]) -> str:
    """One page that needs no other file."""
    body = [f"<h1>{escape(title)}</h1>"]
    for part in found:
        body.append(f"<h2>{escape(part.title)}</h2>")
        body += [f"<p>{escape(one)}</p>" for one in part.sentences]
        if part.rows:
            body.append(_html_table(part))
        if part.plot in plots:
            body.append(_image(part.title, plots[part.plot]))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _image(title: str, svg: str) -> str:
    """A plot as an image: what two of them call their parts may be the same."""
    data = b64encode(svg.encode()).decode()
    return f'<img alt="{escape(title)}" src="data:image/svg+xml;base64,{data}">'


def _html_table(part: Part) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in part.head)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in part.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
