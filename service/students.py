"""The students that a gateway is told to serve: by its settings, or by a file of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import ConfigurationError
from service.manifest import Manifest, load_manifest, verify
from service.records import StudentSpec
from service.settings_groups import StudentSettings
from service.yaml_files import YamlFile, faults, read_fields

WHAT = "file of students"

Keys = tuple[str, ...]
Fault = tuple[Keys, str]
"""Where in the file, and what is wrong there."""


class FileIn(BaseModel):
    """A file of students as it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: str = Field(description="Key of the student that serves by default.")
    students: dict[str, StudentSettings] = Field(description="Students by a key of your choice.")


@dataclass(frozen=True, slots=True)
class ConfiguredStudent:
    """A student with its settings; two that are equal are served in the same way."""

    name: str
    """Its key in the settings, or in the file of students."""
    settings: StudentSettings
    manifest: Manifest
    tls_name: str = field(default="TLS", compare=False)
    """What the settings of its certificates are called in an error."""

    @property
    def key(self) -> str:
        """`name@version`."""
        return self.manifest.key

    @property
    def folder(self) -> Path:
        """Where its template and tokenizer lie."""
        path = self.settings.manifest
        return path if path.is_dir() else path.parent

    def spec(self) -> StudentSpec:
        """What a request needs to know of it, with the deadline that the settings may override."""
        spec, timeout_ms = self.manifest.spec(), self.settings.timeout_ms
        return spec if timeout_ms is None else replace(spec, timeout_ms=timeout_ms)


@dataclass(frozen=True, slots=True)
class ConfiguredStudents:
    """All students, and which serves by default."""

    by_key: Mapping[str, ConfiguredStudent]
    """By `name@version`, in the order in which they are written."""
    default: str
    """`name@version` of the student that serves when a request does not choose."""
    source: YamlFile | None = field(default=None, compare=False)
    """None: they are those of the settings."""

    def manifests(self) -> dict[str, Manifest]:
        """Every student's manifest, by `name@version`."""
        return {key: student.manifest for key, student in self.by_key.items()}

    def line(self, keys: Keys, told: str) -> str:
        """A fault as it is shown."""
        return self.source.line(keys, told) if self.source else told


def of_file(path: Path) -> ConfiguredStudents:
    """Read and check a file of students, with each one's manifest, tokenizer and template.

    Raises `ConfigurationError` that names file, line, field and remedy of the first fault, and how
    many more there are. The weights are the engine's to check.
    """
    file = read_fields(path, WHAT)
    try:
        given = FileIn.model_validate(file.fields)
    except ValidationError as error:
        raise _refused(faults(file, error, WHAT)) from None
    found: dict[str, ConfiguredStudent] = {}
    wrong: list[Fault] = []
    for name, settings in given.students.items():
        wrong += [(("students", name, "tls", of), told) for of, told in _certificates(settings)]
        place = ("students", name, "manifest")
        try:
            student = ConfiguredStudent(name, settings, _manifest(settings))
        except ConfigurationError as error:
            wrong.append((place, str(error)))
            continue
        if (other := found.get(student.key)) is not None:
            told = f"is {student.key}, as that of {other.name} is: raise a version, or leave it out"
            wrong.append((place, told))
        found[student.key] = student
    if given.default not in given.students:
        known = ", ".join(sorted(given.students)) or "none"
        told = f"no student is called {given.default}; the students are: {known}"
        wrong.append((("default",), told))
    if wrong:
        raise _refused([file.line(keys, told) for keys, told in wrong])
    default = next(key for key, student in found.items() if student.name == given.default)
    return ConfiguredStudents(found, default, file)


def of_settings(students: Mapping[str, StudentSettings], default: str | None) -> ConfiguredStudents:
    """The students of the settings; `default` may be left out where there is one.

    Raises `ConfigurationError` for none at all, for a file that is missing or has another checksum,
    and for two that are the same.
    """
    if not students:
        raise ConfigurationError(
            "no student is configured: build one with `interests students build`, and set "
            "INTERESTS_STUDENTS__MAIN__MANIFEST to student.yaml in the folder that it names"
        )
    found: dict[str, ConfiguredStudent] = {}
    for name, settings in students.items():
        tls_name = f"INTERESTS_STUDENTS__{name.upper()}__TLS"
        student = ConfiguredStudent(name, settings, _manifest(settings), tls_name)
        if student.key in found:
            raise ConfigurationError(f"two students are both {student.key}: raise a version")
        found[student.key] = student
    chosen = default or next(iter(students))
    return ConfiguredStudents(
        found, next(key for key, student in found.items() if student.name == chosen)
    )


def _manifest(settings: StudentSettings) -> Manifest:
    manifest = load_manifest(settings.manifest)
    folder = settings.manifest if settings.manifest.is_dir() else settings.manifest.parent
    verify(manifest, folder, weights=False)
    return manifest


def _certificates(settings: StudentSettings) -> Iterator[tuple[str, str]]:
    """Files of certificates that are not there, by their field."""
    for name in ("ca_file", "cert_file", "key_file"):
        path = getattr(settings.tls, name)
        if path is not None and not path.is_file():
            yield name, f"{path} is not a file"


def _refused(lines: list[str]) -> ConfigurationError:
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return ConfigurationError(lines[0] + more)
