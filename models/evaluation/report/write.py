"""The report of an evaluation: a folder with its figures, its lists and its plots."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from models.evaluation.report.markdown import markdown
from models.evaluation.systems import Evaluation
from service.errors import InvalidInput
from service.folders import complete_folder

Json = dict[str, Any]

REPORT = "report.json"
_ROOM = 64 * 2**20
_NO_ROOM = "make room, or choose another place with --out"


def about_this_run(
    students: Sequence[str], seed: int, own_weight: float, encoder: str | None = None
) -> Json:
    """When, by which command and from which commit: what a figure must come with."""
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD") or None,
        "uncommitted_changes": bool(_git("status", "--porcelain")),
        "students": list(students),
        "bootstrap_seed": seed,
        "own_weight": own_weight,
        "encoder": encoder,
    }


def _git(*arguments: str) -> str:
    """Git's answer about the sources that run; empty where they are in no repository."""
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def read_report(folder: Path) -> Json:
    """The figures of a report, from its folder or file. Raises `InvalidInput` with the remedy."""
    file = folder / REPORT if folder.is_dir() else folder
    try:
        found = orjson.loads(file.read_bytes())
    except OSError as error:
        raise InvalidInput(
            f"{file} cannot be read: {error.strerror}; give the folder of a report",
            field="--report",
        ) from error
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            f"{file} is no report of `interests evaluate`; give its folder", field="--report"
        ) from error
    return found if isinstance(found, dict) else {}


def check_target(folder: Path) -> None:
    """Raise `InvalidInput` for a folder that holds something else than a report: it would go."""
    if not folder.exists() or (folder / REPORT).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise InvalidInput(f"{folder} exists and is no report; name another folder", field="--out")


def write_report(folder: Path, report: Mapping[str, Any], done: Evaluation) -> list[str]:
    """Write the folder of an evaluation; see `write_folder`."""

    def plots(aside: Path) -> list[str]:
        from models.evaluation.report.plots import draw

        return draw(aside, report)

    return write_folder(folder, report, markdown, plots, _list_rows(done))


def write_folder(
    folder: Path,
    report: Mapping[str, Any],
    text: Callable[[Mapping[str, Any], Sequence[str]], str],
    plots: Callable[[Path], list[str]],
    lists: Iterable[Json],
) -> list[str]:
    """Write the folder, complete or not at all; one that holds a report is replaced.

    It gets report.json, report.md (`text` of the report and the names of its plots), lists.jsonl,
    and the plots where matplotlib is installed. Returns what was left out and why. Raises
    `InvalidInput` and `ConfigurationError`.
    """
    check_target(folder)
    left_out = []
    with complete_folder(folder, _ROOM, _NO_ROOM) as aside:
        drawn: list[str] = []
        try:
            drawn = plots(aside)
        except ImportError:
            left_out.append("plots: matplotlib is not installed; run this in .venv-train")
        (aside / REPORT).write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
        (aside / "report.md").write_text(text(report, drawn), encoding="utf-8")
        with (aside / "lists.jsonl").open("wb") as out:
            for row in lists:
                out.write(orjson.dumps(row) + b"\n")
    return left_out


def _list_rows(done: Evaluation) -> Iterator[Json]:
    for user in done.data.users:
        yield {
            "user": user.id,
            "signals": [
                {
                    "at_ms": signal.at_ms,
                    "domain": signal.domain,
                    "text": signal.text,
                    "item": signal.item,
                }
                for signal in user.signals
            ],
            "relevant": sorted(user.relevant),
            "queries": {
                name: [
                    {"text": query.text, "weight": query.weight, "signals": query.signals}
                    for query in lists.get(user.id, ())
                ]
                for name, lists in done.lists.items()
            },
        }
