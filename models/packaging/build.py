"""Build a student: from its manifest to a folder that gateway and engine can serve from.

The folder holds `student.yaml`, template, tokenizer, and what vLLM loads. It is made aside and
renamed, so it is either complete or not there; a folder whose checksums agree is left alone.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from models.packaging.base import convert, write_tokenizer
from models.packaging.peft_folder import PEFT_FILES, PEFT_WEIGHTS, read_peft, write_peft
from models.progress import Share
from service.errors import ConfigurationError
from service.folders import complete_folder
from service.manifest import (
    MANIFEST,
    AdapterWeights,
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


def build_adapter(source: Path, base: Manifest, target: Path, progress: Share) -> bool:
    """Build a recipe as an adapter over another student, `base`, into the folder `target`.

    `base` is the same recipe without a delta: the same package and vocabulary. Returns False when
    `target` already held it. Raises `ConfigurationError` as `build_student` does, and where one of
    the two is no such recipe.
    """
    manifest = load_manifest(source)
    folder = source if source.is_dir() else source.parent
    delta = _delta_over(manifest, base)
    assert isinstance(manifest.weights, RecipeWeights)
    if _is_adapter(manifest, base.key, delta.sha256, target):
        return False
    part = _checked(folder, delta)
    vocabulary = _checked(folder, manifest.weights.vocabulary)
    with complete_folder(target, part.stat().st_size * 2, _NO_ROOM) as aside:
        write_tokenizer(manifest.weights, vocabulary, aside, progress)
        write_peft(part, aside, base.key)
        found = read_peft(aside)
        _copy(folder / manifest.template.file, aside / manifest.template.file)
        files = {name: sha256_of(aside / name) for name in PEFT_FILES}
        built = manifest.model_copy(
            update={
                "parameters": found.parameters,
                "weights": AdapterWeights(kind="adapter", base=base.key, files=files),
            }
        )
        said = built.model_dump(mode="json", exclude_unset=True)
        text = yaml.safe_dump(said, sort_keys=False, width=100, allow_unicode=True)
        (aside / MANIFEST).write_text(text, encoding="utf-8")
        verify(load_manifest(aside), aside)
    return True


def _delta_over(manifest: Manifest, base: Manifest) -> NamedFile:
    """The delta of a recipe whose base is this student. Raises `ConfigurationError`."""
    own, other = manifest.weights, base.weights
    if not isinstance(own, RecipeWeights) or own.delta is None:
        raise ConfigurationError(
            f"{manifest.key} is no recipe with a delta: only such a student is built as an adapter"
        )
    if not isinstance(other, RecipeWeights) or other.delta is not None:
        raise ConfigurationError(
            f"{base.key} is no recipe without a delta, so it is not what {manifest.key} adapts"
        )
    if own.sha256 != other.sha256:
        raise ConfigurationError(
            f"{base.key} is of another package than {manifest.key}: choose the base that this "
            "student was trained on"
        )
    if own.vocabulary.sha256 != other.vocabulary.sha256:
        raise ConfigurationError(
            f"{base.key} has another vocabulary than {manifest.key}: adapters share their base's"
        )
    return own.delta


def _is_adapter(manifest: Manifest, base: str, delta: str, target: Path) -> bool:
    """Whether `target` holds this recipe as an adapter over that base, and it is whole."""
    try:
        found = load_manifest(target)
        verify(found, target)
    except ConfigurationError:
        return False
    weights = found.weights
    same = {"weights": manifest.weights, "parameters": manifest.parameters}
    return (
        isinstance(weights, AdapterWeights)
        and (weights.base, weights.files.get(PEFT_WEIGHTS)) == (base, delta)
        and found.model_copy(update=same) == manifest
    )


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
        case PathWeights() | AdapterWeights():
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
