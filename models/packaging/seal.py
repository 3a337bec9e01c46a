"""Put the checksums of a recipe's parts, and of what is built of them, into its manifest.

The one step between a trained adapter and a student that builds: everything else in `student.yaml`
is written by a person.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from models.packaging.base import convert
from models.progress import Share
from service.errors import ConfigurationError
from service.manifest import MANIFEST, PackagedBase, load_manifest, sha256_of


def seal_student(folder: Path, adapter: Path | None, progress: Share) -> None:
    """Fill in every sha256 of the recipe in `folder`; `adapter` is copied in first, if given.

    Nothing changes unless it builds. The manifest is rewritten whole and checked before it takes
    the old one's place; its comments are lost. Raises `ConfigurationError`: no recipe, a part
    that is missing or no good.
    """
    path = folder / MANIFEST
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        weights = raw["weights"]
        tokenizer, template = raw["tokenizer"]["file"], raw["template"]["file"]
        vocabulary = weights["vocabulary"]["file"]
        delta = weights["delta"]["file"]
        base = PackagedBase(**{name: weights[name] for name in PackagedBase.model_fields})
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{path}: must be the manifest of a recipe with a delta; see docs/students.md"
        ) from error
    source = adapter or folder / delta
    for needed in (source, folder / template, folder / vocabulary):
        if not needed.is_file():
            raise ConfigurationError(f"{needed} is missing: a recipe needs it")
    written = folder / f".{MANIFEST}"
    copied = folder / f".{delta}"
    try:
        with tempfile.TemporaryDirectory() as made:
            convert(base, Path(made), progress, vocabulary=folder / vocabulary, delta=source)
            sums = {one.name: sha256_of(one) for one in sorted(Path(made).iterdir())}
        if tokenizer not in sums:
            raise ConfigurationError(f"{path}: tokenizer.file must be tokenizer.json")
        raw["tokenizer"]["sha256"] = sums.pop(tokenizer)
        raw["template"]["sha256"] = sha256_of(folder / template)
        weights["vocabulary"]["sha256"] = sha256_of(folder / vocabulary)
        weights["delta"]["sha256"] = sha256_of(source)
        weights["files"] = sums
        written.write_text(yaml.safe_dump(raw, sort_keys=False, width=100, allow_unicode=True))
        load_manifest(written)
        if adapter is not None:
            shutil.copyfile(adapter, copied)
            copied.replace(folder / delta)
        written.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written: {error.strerror}") from error
    finally:
        written.unlink(missing_ok=True)
        copied.unlink(missing_ok=True)
