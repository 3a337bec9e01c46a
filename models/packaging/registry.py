"""Which students there are, and where: `models/students/<name>/<version>/student.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.errors import ConfigurationError
from service.manifest import MANIFEST, Manifest, load_manifest

STUDENTS = Path(__file__).parents[1] / "students"
DEFAULT_STUDENT = "interests-small"
BASE_STUDENT = "smollm2-base"
"""The packaged base as it is: what training starts from and has to beat."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A student in a folder."""

    manifest: Manifest
    folder: Path


def list_students(root: Path = STUDENTS) -> list[Entry]:
    """All students under `root`, by name, then version. Raises `ConfigurationError`."""
    found = [
        Entry(load_manifest(path), path.parent) for path in sorted(root.glob(f"*/*/{MANIFEST}"))
    ]
    for entry in found:
        place = f"{entry.folder.parent.name}@{entry.folder.name}"
        if place != entry.manifest.key:
            raise ConfigurationError(
                f"{entry.folder / MANIFEST}: says {entry.manifest.key}, but lies in the folder of "
                f"{place}; make the two agree"
            )
    return sorted(found, key=lambda e: (e.manifest.name, _order(e.manifest.version)))


def find_student(wanted: str, root: Path = STUDENTS) -> Entry:
    """Find `name` (its highest version), `name@version`, or a folder or manifest on disk.

    Raises `ConfigurationError` that lists what there is.
    """
    path = Path(wanted)
    if path.is_dir() and (path / MANIFEST).is_file():
        return Entry(load_manifest(path), path)
    if path.is_file():
        return Entry(load_manifest(path), path.parent)
    students = list_students(root)
    for entry in reversed(students):
        if wanted in {entry.manifest.key, entry.manifest.name}:
            return entry
    known = ", ".join(entry.manifest.key for entry in students) or "none"
    raise ConfigurationError(f"no student {wanted!r}; there are: {known}, or give a folder")


def _order(version: str) -> tuple[tuple[int, str], ...]:
    """Versions by their parts, numbers as numbers: `10` after `9`."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in version.split("."))
