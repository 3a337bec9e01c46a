"""The GGUF file that a student's base comes as, inside an installed PyPI package."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from service.errors import ConfigurationError
from service.manifest import MANIFEST, PackagedBase, sha256_of
from service.yaml_files import read_yaml


class _NamedBase(PackagedBase):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Draft(BaseModel):
    weights: _NamedBase


def base_named_in(folder: Path) -> PackagedBase:
    """The packaged base that the manifest in a student's folder names under `weights`.

    Nothing else of the manifest is looked at: a student that is still to be trained has no
    checksums of what will be built of it. Raises `ConfigurationError` that names the file, the
    field and the remedy.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ConfigurationError(
            f"{path} is missing: it has to name the student's base under `weights`; write it as "
            "docs/students.md says"
        )
    named = read_yaml(path, _Draft, "student").weights
    return PackagedBase(**{name: getattr(named, name) for name in PackagedBase.model_fields})


def packaged_file(base: PackagedBase) -> Path:
    """The weights' file inside the installed package. Raises `ConfigurationError`."""
    remedy = "install the engine environment (`make engine`), and run this in it"
    try:
        package = importlib.metadata.distribution(base.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise ConfigurationError(
            f"the package {base.distribution} {base.version} is not installed; {remedy}"
        ) from None
    if package.version != base.version:
        raise ConfigurationError(
            f"the package {base.distribution} is {package.version}, "
            f"the manifest wants {base.version}; {remedy}"
        )
    path = Path(str(package.locate_file(base.file)))
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing from {base.distribution}; reinstall it")
    return path


def check_packaged(path: Path, base: PackagedBase) -> None:
    """Raises `ConfigurationError` where the file is not the one that the manifest means."""
    if (found := sha256_of(path)) != base.sha256:
        raise ConfigurationError(
            f"{path}: sha256 is {found[:12]}…, the manifest says {base.sha256[:12]}…; "
            "reinstall the package"
        )
