"""`python -m tests.parts.image STAGE FOLDER`: stages of the Dockerfile, without a container engine.

A stage is built in an empty folder. Each of its RUN commands runs as it stands, by the same shell,
with that folder as its root (`unshare`, `chroot`); this machine's /usr and Python, mounted there
read only, stand in for the base image. COPY, ENV, ARG and WORKDIR do what they do in a build. What
the stand-in cannot show is how the real base image differs from this machine.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.parts.dockerfile import ROOT, Instruction, build_context, expand, read_dockerfile
from tests.parts.require import missing_part

_PASSED_ON = re.compile(r"(?i)(\w+_proxy|\w*SSL\w*|\w*CERT\w*|\w*CA_BUNDLE|PIP_.*|UV_.*INDEX.*)")
"""What of our environment a build needs too: how registries are reached."""
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
_KERNEL = ("/proc", "/dev", "/sys")
_NAMESPACES = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.getuid() else [])]
_BUILD_S = 300


@dataclass
class Built:
    """A built stage: the folder that is its root, and what it says of how it is run."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    said: dict[str, Instruction] = field(default_factory=dict)

    @property
    def user(self) -> str:
        """`number:number`."""
        return self.said["USER"].value

    def bytes(self) -> int:
        """All that the stage adds to its base image."""
        return sum(path.lstat().st_size for path in self.root.rglob("*") if not path.is_dir())

    def command(
        self, *words: str, data: Path, environment: Mapping[str, str], bare: bool = False
    ) -> list[str]:
        """The command line that runs the image as a container would be run.

        `words` stand in the place of its CMD, with `bare` of its ENTRYPOINT too; `data` is its
        volume. Its root is read only, /tmp is in memory; it has its own user where this process may
        say so, and this machine's network.
        """
        if os.getuid() == 0:
            number, _, group = self.user.partition(":")
            os.chown(data, int(number), int(group))
        [volume] = self.said["VOLUME"].words or []
        entry = [] if bare else self.said["ENTRYPOINT"].words or []
        command = words or self.said["CMD"].words or []
        inside = {**_base_environment(), **self.environment, **environment}
        return _inside(
            self.root,
            [*entry, *command],
            inside,
            folder=self.folder,
            mounts={volume: data},
            user=self.user,
            read_only=True,
        )


class Builder:
    """Builds stages into folders below `folder`, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = read_dockerfile((ROOT / "Dockerfile").read_text())
        self._context = sorted(build_context(ROOT, (ROOT / ".dockerignore").read_text()))
        self._built: dict[str, Built] = {}

    def build(self, name: str) -> Built:
        """Build a stage and those it stands on. Fails the test where a command fails."""
        if name in self._built:
            return self._built[name]
        stage = self._file.stages[name]
        built = Built(self._folder / name)
        arguments: dict[str, str] = {}
        if stage.base in self._file.stages:
            below = self.build(stage.base)
            _copy([below.root], built.root)
            built.environment, built.folder = dict(below.environment), below.folder
        else:
            built.root.mkdir()
        for instruction in stage.instructions:
            known = {**_base_environment(), **arguments, **built.environment}
            match instruction.name:
                case "ARG":
                    arguments |= instruction.pairs(known)
                case "ENV":
                    built.environment |= instruction.pairs(known)
                case "WORKDIR":
                    built.folder = expand(instruction.value, known)
                    _in(built.root, built.folder).mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(instruction, built, known)
                case "RUN":
                    _run(instruction, built, known)
                case other:
                    built.said[other] = instruction
        self._built[name] = built
        return built

    def _copy(self, instruction: Instruction, built: Built, known: Mapping[str, str]) -> None:
        *names, target = expand(instruction.value, known).split()
        into = _in(built.root, str(Path(built.folder, target)))
        if stage := instruction.options.get("from"):
            _copy([_in(self.build(stage).root, name) for name in names], into)
            return
        for name in names:
            found = [path for path in self._context if path == name or path.startswith(f"{name}/")]
            assert found, f"Dockerfile:{instruction.line}: {name} is not in the build's context"
            for path in found:
                place = into / path.removeprefix(f"{name}/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, place)


def require_namespaces() -> None:
    """Skip the test, or fail it in CI, where a folder cannot be made the root of a command."""
    probe = [*_NAMESPACES, "sh", "-c", "mount -t tmpfs none /mnt && chroot / true"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=30)
    except OSError as error:
        missing_part("unshare", f"install util-linux ({error.strerror})")
    if done.returncode:
        missing_part(
            "a mount namespace",
            f"run the test as root or allow user namespaces ({done.stderr.strip()})",
        )


def _run(instruction: Instruction, built: Built, known: Mapping[str, str]) -> None:
    configured = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    tools = [tool for tool in ("pip", "uv") if (configured / tool).is_dir()]
    mounts = {f"/root/.config/{tool}": configured / tool for tool in tools}
    if cached := re.fullmatch(
        r"type=cache,target=/root/.cache/(\w+)", instruction.options.get("mount", "")
    ):
        mounts[f"/root/.cache/{cached[1]}"] = _cache_of(cached[1])
    command = _inside(
        built.root,
        ["/bin/sh", "-c", instruction.value],
        known,
        folder=built.folder,
        mounts=mounts,
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_S)
    said = f"Dockerfile:{instruction.line}: RUN {instruction.value}\n{done.stdout}{done.stderr}"
    assert done.returncode == 0, said


def _inside(
    root: Path,
    words: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: str,
    mounts: Mapping[str, Path],
    user: str = "",
    read_only: bool = False,
) -> list[str]:
    """The command line that runs `words` with `root` as the root of all its paths."""
    lines = ["set -eu"]

    def mount(place: str, *how: str) -> None:
        _in(root, place).mkdir(parents=True, exist_ok=True)
        lines.append(shlex.join(["mount", *how, str(_in(root, place))]))

    if read_only:
        mount("/", "--bind", str(root))
    for place in (*_SYSTEM, *_python_elsewhere(), *_KERNEL):
        if Path(place).is_symlink() and not _in(root, place).is_symlink():
            _in(root, place).symlink_to(Path(place).readlink())
        elif Path(place).is_dir() and not Path(place).is_symlink():
            mount(place, "--rbind", place)
            if os.getuid() == 0 and place not in _KERNEL:
                mount(place, "-o", "remount,bind,ro")
    # A container's own tmpfs, where nothing can be executed.
    mount("/tmp", "-t", "tmpfs", *(["-o", "noexec,nosuid,nodev"] if read_only else []), "none")
    for place, source in mounts.items():
        mount(place, "--bind", str(source))
    if read_only:
        mount("/", "-o", "remount,bind,ro")
    chroot = ["exec", "chroot", *([f"--userspec={user}"] if user and os.getuid() == 0 else [])]
    variables = [f"{name}={value}" for name, value in environment.items()]
    enter = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', folder, *words]
    lines.append(shlex.join([*chroot, str(root), "/usr/bin/env", "-i", *variables, *enter]))
    return [*_NAMESPACES, "sh", "-c", "\n".join(lines)]


def _base_environment() -> dict[str, str]:
    """What the base image would say, and how registries are reached from here."""
    passed_on = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    python = Path(sys.base_prefix) / "bin"
    return {**passed_on, "HOME": "/root", "PATH": f"{python}:/usr/local/bin:/usr/bin:/bin"}


def _python_elsewhere() -> list[str]:
    """The folder of this Python where /usr does not hold it."""
    home = Path(sys.base_prefix)
    return [] if home.is_relative_to("/usr") else [str(home)]


def _cache_of(tool: str) -> Path:
    """Where this machine keeps what uv or pip has fetched: what a cache mount is for."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get(f"{tool.upper()}_CACHE_DIR") or Path(home) / tool)
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _in(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _copy(sources: Sequence[Path], into: Path) -> None:
    """As COPY does: of a folder what it holds; a file into a folder, or as one.

    Files are linked: our commands make files and replace them, but write into none that is there.
    """
    for source in sources:
        into.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            into.mkdir(exist_ok=True)
        held = f"{source}/." if source.is_dir() else str(source)
        subprocess.run(["cp", "-a", "--link", held, str(into)], check=True)


def main() -> None:
    """Build a stage below a folder, and say how much it holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.parts.image", description=main.__doc__)
    parser.add_argument("stage", help="a stage of the Dockerfile, such as gateway")
    parser.add_argument("folder", type=Path, help="folder to build below")
    given = parser.parse_args()
    require_namespaces()
    given.folder.mkdir(parents=True, exist_ok=True)
    built = Builder(given.folder).build(given.stage)
    print(f"{built.root}: {built.bytes() / 1e6:.1f} MB")
    for top in sorted(built.root.rglob("*")):
        if top.is_dir() and len(top.relative_to(built.root).parts) == 3:
            print(f"  /{top.relative_to(built.root)}: {Built(top).bytes() / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
