"""Put the checksums of a recipe's parts, and of what is built of them, into its manifest.

The one step between a trained adapter and a student that builds: everything else in `student.yaml`
is written by a person.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from models.packaging.base import convert
from models.packaging.packaged import base_named_in
from models.progress import Share
from service.errors import ConfigurationError
from service.files import whole_file
from service.manifest import MANIFEST, load_manifest, sha256_of


def seal_student(folder: Path, adapter: Path | None, progress: Share) -> None:
    """Fill in every sha256 of the recipe in `folder`; `adapter` is copied in first, if given.

    Nothing changes unless it builds. The manifest is rewritten whole and checked before it takes
    the old one's place; its comments are lost. Raises `ConfigurationError`: no recipe, a part
    that is missing or no good.
    """
    draft = _read(folder / MANIFEST)
    base = base_named_in(folder)
    delta = adapter or folder / draft.delta
    for needed in (delta, folder / draft.template, folder / draft.vocabulary):
        if not needed.is_file():
            raise ConfigurationError(f"{needed} is missing: a recipe needs it")
    try:
        with tempfile.TemporaryDirectory() as made:
            vocabulary = folder / draft.vocabulary
            convert(base, Path(made), progress, vocabulary=vocabulary, delta=delta)
            sums = {path.name: sha256_of(path) for path in sorted(Path(made).iterdir())}
        _fill_in(draft, folder, delta, sums)
        _put_in_place(draft, folder, adapter)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Draft:
    """A manifest as a person wrote it, and the names of the files that it is to have sums of."""

    path: Path
    raw: Any
    template: str
    tokenizer: str
    vocabulary: str
    delta: str


def _read(path: Path) -> _Draft:
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _Draft(
            path,
            raw,
            template=raw["template"]["file"],
            tokenizer=raw["tokenizer"]["file"],
            vocabulary=raw["weights"]["vocabulary"]["file"],
            delta=raw["weights"]["delta"]["file"],
        )
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{path}: must be the manifest of a recipe with a delta; see docs/students.md"
        ) from error


def _fill_in(draft: _Draft, folder: Path, delta: Path, sums: dict[str, str]) -> None:
    """Write the checksums into the draft: of the parts, and `sums`, those of what is built."""
    if draft.tokenizer not in sums:
        raise ConfigurationError(f"{draft.path}: tokenizer.file must be tokenizer.json")
    raw, weights = draft.raw, draft.raw["weights"]
    raw["tokenizer"]["sha256"] = sums[draft.tokenizer]
    raw["template"]["sha256"] = sha256_of(folder / draft.template)
    weights["vocabulary"]["sha256"] = sha256_of(folder / draft.vocabulary)
    weights["delta"]["sha256"] = sha256_of(delta)
    weights["files"] = {name: sum_ for name, sum_ in sums.items() if name != draft.tokenizer}


def _put_in_place(draft: _Draft, folder: Path, adapter: Path | None) -> None:
    """The manifest, once it has been read as one; before it the adapter that is copied in."""
    text = yaml.safe_dump(draft.raw, sort_keys=False, width=100, allow_unicode=True)
    with whole_file(draft.path) as manifest:
        manifest.write(text.encode())
        manifest.flush()
        load_manifest(Path(manifest.name))
        if adapter is not None:
            with adapter.open("rb") as given, whole_file(folder / draft.delta) as file:
                shutil.copyfileobj(given, file)
