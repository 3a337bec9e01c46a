"""Build a student: from its manifest to a folder that gateway and engine can serve from.

The folder holds `student.yaml`, template, tokenizer, and what vLLM loads. It is made aside and
renamed, so it is either complete or not there; a folder whose checksums agree is left alone.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from models.gguf import config_of, tokenizer_config_of, tokenizer_of, write_weights
from service.errors import ConfigurationError
from service.manifest import (
    MANIFEST,
    Manifest,
    PackageWeights,
    load_manifest,
    sha256_of,
    verify,
)

_MARGIN = 64 * 2**20
Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it done, 0 to 1."""


def build_student(source: Path, target: Path, progress: Progress) -> bool:
    """Build the student whose manifest lies in `source` into the folder `target`.

    Returns False when `target` already held it. Raises `ConfigurationError`: manifest or package
    missing, a checksum that is wrong, or no room on the disk.
    """
    manifest = load_manifest(source)
    folder = source if source.is_dir() else source.parent
    if _is_built(source, manifest, target):
        return False
    weights = manifest.weights
    origin = packaged_file(weights) if isinstance(weights, PackageWeights) else None
    need = manifest.parameters * 2 + _MARGIN
    _check_room(target, need)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        if origin is not None:
            progress("checking the package", 0.0)
            _check_sum(origin, weights.sha256 if isinstance(weights, PackageWeights) else "")
            _convert(origin, aside, manifest, progress)
        else:
            for name in (*weights.files, manifest.tokenizer.file):
                progress(f"copying {name}", 0.0)
                _copy(folder / name, aside / name)
        _copy(folder / manifest.template.file, aside / manifest.template.file)
        _copy(source / MANIFEST if source.is_dir() else source, aside / MANIFEST)
        progress("checking what was made", 0.0)
        verify(manifest, aside)
        aside.chmod(0o755)
        _replace(aside, target)
    except OSError as error:
        raise ConfigurationError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return True


def built_folder(manifest: Manifest, into: Path) -> Path:
    """Where a built student lies under the folder of built students: `into/name/version`."""
    return into / manifest.name / manifest.version


def packaged_file(weights: PackageWeights) -> Path:
    """The weights' file inside the installed package. Raises `ConfigurationError`."""
    remedy = "install the engine environment (`make engine`), and run this in it"
    try:
        package = importlib.metadata.distribution(weights.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise ConfigurationError(
            f"the package {weights.distribution} {weights.version} is not installed; {remedy}"
        ) from None
    if package.version != weights.version:
        raise ConfigurationError(
            f"the package {weights.distribution} is {package.version}, "
            f"the manifest wants {weights.version}; {remedy}"
        )
    path = Path(str(package.locate_file(weights.file)))
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing from {weights.distribution}; reinstall it")
    return path


def _is_built(source: Path, manifest: Manifest, target: Path) -> bool:
    """Whether `target` holds exactly this manifest and every file in it is whole."""
    try:
        if load_manifest(target) != manifest or target.resolve() == source.resolve():
            return False
        verify(manifest, target)
    except ConfigurationError:
        return False
    return True


def _convert(origin: Path, aside: Path, manifest: Manifest, progress: Progress) -> None:
    from gguf import GGUFReader

    progress("reading the package", 0.0)
    reader = GGUFReader(origin)
    for name, content in (
        (manifest.tokenizer.file, tokenizer_of(reader)),
        ("tokenizer_config.json", tokenizer_config_of(reader)),
        ("config.json", config_of(reader)),
    ):
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        (aside / name).write_text(text, encoding="utf-8")
    write_weights(
        reader, aside / "model.safetensors", lambda share: progress("writing weights", share)
    )


def _check_sum(path: Path, expected: str) -> None:
    if (found := sha256_of(path)) != expected:
        raise ConfigurationError(
            f"{path}: sha256 is {found[:12]}…, the manifest says {expected[:12]}…; "
            "reinstall the package"
        )


def _check_room(target: Path, need: int) -> None:
    place = target.absolute()
    while not place.exists():
        place = place.parent
    if (free := shutil.disk_usage(place).free) < need:
        raise ConfigurationError(
            f"{target}: {need / 2**20:.0f} MiB are needed, {free / 2**20:.0f} MiB are free; "
            "make room, or choose another place with --into"
        )


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise ConfigurationError(f"{source} is missing, though the manifest names it")
    shutil.copyfile(source, target)


def _replace(aside: Path, target: Path) -> None:
    """Put `aside` where `target` is: a folder cannot be renamed over one that is not empty."""
    old = target.with_name(f".{target.name}-old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    aside.rename(target)
    shutil.rmtree(old, ignore_errors=True)
