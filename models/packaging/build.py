"""Build a student: from its manifest to a folder that gateway and engine can serve from.

The folder holds `student.yaml`, template, tokenizer, and what vLLM loads. It is made aside and
renamed, so it is either complete or not there; a folder whose checksums agree is left alone.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from models.packaging.base import convert
from models.progress import Share
from service.errors import ConfigurationError
from service.folders import complete_folder
from service.manifest import (
    MANIFEST,
    Manifest,
    NamedFile,
    PackageWeights,
    PathWeights,
    RecipeWeights,
    load_manifest,
    sha256_of,
    verify,
)

_NO_ROOM = "make room, or choose another place with --into"


def build_student(source: Path, target: Path, progress: Share) -> bool:
    """Build the student whose manifest lies in `source` into the folder `target`.

    Returns False when `target` already held it. Raises `ConfigurationError`: manifest, package or
    a file beside the manifest missing, a checksum that is wrong, no room on the disk, or a target
    that is the source itself.
    """
    manifest = load_manifest(source)
    folder = source if source.is_dir() else source.parent
    if target.resolve() == folder.resolve():
        raise ConfigurationError(
            f"{folder} is the student's own folder, which what is built would replace; choose "
            "another place with --into"
        )
    if _is_built(manifest, target):
        return False
    with complete_folder(target, manifest.parameters * 2, _NO_ROOM) as aside:
        _make(manifest, folder, aside, progress)
        _copy(folder / manifest.template.file, aside / manifest.template.file)
        _copy(source / MANIFEST if source.is_dir() else source, aside / MANIFEST)
        progress("checking what was made", 0.0)
        verify(manifest, aside)
    return True


def built_folder(manifest: Manifest, into: Path) -> Path:
    """Where a built student lies under the folder of built students: `into/name/version`."""
    return into / manifest.name / manifest.version


def _is_built(manifest: Manifest, target: Path) -> bool:
    """Whether `target` holds exactly this manifest and every file in it is whole."""
    try:
        if load_manifest(target) != manifest:
            return False
        verify(manifest, target)
    except ConfigurationError:
        return False
    return True


def _make(manifest: Manifest, folder: Path, aside: Path, progress: Share) -> None:
    """Put weights, configuration and tokenizer of the student in `folder` into `aside`."""
    weights = manifest.weights
    match weights:
        case PackageWeights():
            convert(weights, aside, progress)
        case RecipeWeights():
            progress("checking the recipe", 0.0)
            vocabulary = _checked(folder, weights.vocabulary)
            delta = None if weights.delta is None else _checked(folder, weights.delta)
            convert(weights, aside, progress, vocabulary=vocabulary, delta=delta)
        case PathWeights():
            for name in (*weights.files, manifest.tokenizer.file):
                progress(f"copying {name}", 0.0)
                _copy(folder / name, aside / name)


def _checked(folder: Path, part: NamedFile) -> Path:
    """A part of a recipe, beside the manifest, whose checksum is right."""
    path = folder / part.file
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing, though the manifest names it")
    if (found := sha256_of(path)) != part.sha256:
        raise ConfigurationError(
            f"{path}: sha256 is {found[:12]}…, the manifest says {part.sha256[:12]}…; "
            "fetch the file again, or update the manifest"
        )
    return path


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise ConfigurationError(f"{source} is missing, though the manifest names it")
    shutil.copyfile(source, target)
