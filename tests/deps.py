"""`python -m tests.deps [--check]`: the real parts that no wheel of the lock file brings.

OpenSearch comes from Maven Central: the plain distribution, and the module with its analysis
(stemmer, lowercase), which that distribution leaves out. Both are pinned by checksum and kept under
`.cache/opensearch`. Java 21 or later has to be on the machine. One line a part; exit code 1 when
something is missing.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

CACHE = Path(__file__).parent.parent / ".cache" / "opensearch"
OPENSEARCH = "3.4.0"
JAVA = 21


class Missing(Exception):
    """A part is not there; the message says what to do."""


@dataclass(frozen=True)
class Artifact:
    """A file of Maven Central."""

    group: str
    name: str
    kind: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return CACHE / f"{self.name}-{OPENSEARCH}.{self.kind}"

    @property
    def there(self) -> bool:
        """Whether it is kept, with the right checksum."""
        if not self.path.is_file():
            return False
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


DISTRIBUTION = Artifact(
    "org.opensearch.distribution.integ-test-zip",
    "opensearch",
    "zip",
    "6540e95fe8bfaedc3eb1c58e829912ea2203af2ac1f88f76411c20a2fc5254a6",
)
ANALYSIS = Artifact(
    "org.opensearch.plugin",
    "analysis-common",
    "jar",
    "4c2207ac94d242f35a0d83576c79744b8bbbc6142ef253f9ca81163e1605a944",
)


def find_java() -> Path:
    """Home of a Java that is new enough. Raises `Missing`."""
    seen = []
    for home in _java_homes():
        if (version := _java_version(home)) is None:
            continue
        if version >= JAVA:
            return home
        seen.append(f"{version} in {home}")
    found = f" (found: {', '.join(dict.fromkeys(seen))})" if seen else ""
    raise Missing(
        f"Java {JAVA} or later{found}: install a JDK {JAVA}+, e.g. Temurin from adoptium.net, "
        "and set OPENSEARCH_JAVA_HOME if it is not under /usr/lib/jvm"
    )


def require_opensearch() -> tuple[Path, Path, Path]:
    """Distribution, analysis module and home of Java. Raises `Missing`."""
    for artifact in (DISTRIBUTION, ANALYSIS):
        if not artifact.there:
            raise Missing(f"{artifact.name} {OPENSEARCH}: run `python -m tests.deps`")
    return DISTRIBUTION.path, ANALYSIS.path, find_java()


def main(arguments: list[str]) -> int:
    """Check the parts, fetch what is missing unless told only to check."""
    check_only = "--check" in arguments
    parts: list[Callable[[], str]] = [lambda: f"java: {find_java()}"]
    parts += [partial(_artifact, artifact, check_only) for artifact in (DISTRIBUTION, ANALYSIS)]
    missing = 0
    for part in parts:
        try:
            print(f"ok       {part()}")
        except Missing as error:
            print(f"missing  {error}")
            missing = 1
    return missing


def _artifact(artifact: Artifact, check_only: bool) -> str:
    if artifact.there:
        return f"{artifact.name} {OPENSEARCH}: {artifact.path}"
    if check_only:
        raise Missing(f"{artifact.name} {OPENSEARCH}: run `python -m tests.deps`")
    if shutil.which("mvn") is None:
        raise Missing(f"{artifact.name} {OPENSEARCH}: install Maven (`mvn`), which fetches it")
    coordinates = f"{artifact.group}:{artifact.name}:{OPENSEARCH}:{artifact.kind}"
    command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={coordinates}"]
    done = subprocess.run(
        [*command, f"-DoutputDirectory={CACHE}"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = next((line for line in done.stdout.splitlines() if "ERROR" in line), done.stderr)
        raise Missing(f"{artifact.name} {OPENSEARCH}: mvn could not fetch {coordinates}: {said}")
    if not artifact.there:
        artifact.path.unlink(missing_ok=True)
        raise Missing(f"{artifact.name} {OPENSEARCH}: what mvn fetched has another checksum")
    return f"{artifact.name} {OPENSEARCH}: fetched to {artifact.path}"


def _java_homes() -> Iterator[Path]:
    for variable in ("OPENSEARCH_JAVA_HOME", "JAVA_HOME"):
        if home := os.environ.get(variable):
            yield Path(home)
    if java := shutil.which("java"):
        yield Path(java).resolve().parent.parent
    for folder in ("/usr/lib/jvm", "/opt/java", "/Library/Java/JavaVirtualMachines"):
        if Path(folder).is_dir():
            for home in sorted(Path(folder).iterdir(), reverse=True):
                yield home / "Contents/Home" if (home / "Contents/Home").is_dir() else home


def _java_version(home: Path) -> int | None:
    java = home / "bin" / "java"
    if not java.is_file():
        return None
    said = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', said.stderr)
    return int(match[1]) if match else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
