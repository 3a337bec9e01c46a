"""Programs that come as Debian packages: from PATH, or unpacked under `.cache/debian`.

Unpacking needs no root and changes nothing of the system: apt keeps its lists in the same folder,
and checks the package by Debian's signatures. The programs needed here depend on libc alone.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.parts.require import Missing

CACHE = Path(__file__).parent.parent / ".cache" / "debian"
BIN = CACHE / "root" / "usr" / "bin"


def find_program(name: str, package: str) -> Path:
    """The program, on PATH or unpacked. Raises `Missing`."""
    if found := shutil.which(name):
        return Path(found)
    if (BIN / name).is_file():
        return BIN / name
    raise Missing(f"{name}: install {package}, or run `python -m tests.deps` (Debian, Ubuntu)")


def fetch_program(name: str, package: str) -> Path:
    """The program, from its package where it is not there yet. Raises `Missing`."""
    try:
        return find_program(name, package)
    except Missing:
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise Missing(f"{name}: install {package} and put it on PATH") from None
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (CACHE / folder).mkdir(parents=True, exist_ok=True)
    _run(name, [*_apt(), "-qq", "update"])
    _run(name, [*_apt(), "-qq", "download", package])
    for archive in CACHE.glob(f"{package}_*.deb"):
        _run(name, ["dpkg-deb", "--extract", str(archive), str(CACHE / "new")])
        archive.unlink()
    shutil.rmtree(CACHE / "root", ignore_errors=True)
    (CACHE / "new").rename(CACHE / "root")  # whole, or not at all
    shutil.rmtree(CACHE / "state")
    return find_program(name, package)


def _apt() -> list[str]:
    options = {
        "Dir::State": str(CACHE / "state"),
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": str(CACHE / "cache"),
        "APT::Sandbox::User": "",
    }
    return [
        "apt-get",
        *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
    ]


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Missing(f"{name}: {command[0]} failed: {said[-1] if said else done.returncode}")
