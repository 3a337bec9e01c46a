"""Students out of the settings and out of a file of their own: what is taken, and what refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service import wiring_students as module
from service.errors import ConfigurationError
from service.settings_groups import StudentSettings
from service.students import FileIn, of_file, of_settings
from service.wiring_students import read_students
from tests.unit.service.test_manifest import folder_with


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Of two versions of a student."""
    made = [tmp_path / version for version in ("3", "4")]
    for folder in made:
        folder.mkdir()
        folder_with(folder, version=folder.name)
    return made


PAGE = Path(__file__).parents[3] / "docs" / "operating" / "changes.md"


def file_of(folder: Path, default: Any, **students: Any) -> Path:
    """A file of students; each by its key, with its fields."""
    path = folder / "students.yaml"
    path.write_text(yaml.safe_dump({"default": default, "students": students}, sort_keys=False))
    return path


def test_a_file_names_the_students_and_the_one_that_serves(folders: list[Path]) -> None:
    three, four = folders
    path = file_of(
        three,
        "new",
        old={"manifest": str(three / "student.yaml"), "engines": ["http://a:1", "http://b:1"]},
        new={"manifest": str(four), "engines": "http://c:1", "window": 4, "timeout_ms": 700},
    )
    found = of_file(path)
    assert list(found.by_key) == ["tiny@3", "tiny@4"]
    assert found.default == "tiny@4"
    new = found.by_key["tiny@4"]
    assert (new.folder, new.spec().timeout_ms) == (four, 700)
    assert new.settings.engines == ("http://c:1",)
    assert found == of_file(path)


def test_the_key_of_engines_is_read_from_its_file(folders: list[Path]) -> None:
    (folders[0] / "key").write_text("a bearer token\n")
    given = {"manifest": str(folders[0]), "api_key_file": str(folders[0] / "key")}
    (student,) = of_file(file_of(folders[0], "main", main=given)).by_key.values()
    assert student.settings.api_key is not None
    assert student.settings.api_key.get_secret_value() == "a bearer token"


BAD = [
    ({"windw": 4}, "main.windw", "is not a field of a file of students; remove it or correct"),
    ({"window": 0}, "main.window", "greater than or equal to 1"),
    ({"manifest": None}, "main.manifest", "is missing; add it"),
    ({"manifest": "/none/student.yaml"}, "main.manifest", "no such student manifest"),
    ({"tls": {"ca_file": "/none.pem"}}, "main.tls.ca_file", "/none.pem is not a file"),
    ({"engines": ["ftp://a:1"]}, "main.engines", "engine URL"),
    ({"api_key_file": "/none"}, "main.api_key_file", "No such file"),
]


@pytest.mark.parametrize(("changes", "field", "told"), BAD, ids=[field for _, field, _ in BAD])
def test_a_fault_is_told_with_file_line_field_and_remedy(
    folders: list[Path], changes: dict[str, Any], field: str, told: str
) -> None:
    main = {"manifest": str(folders[0]), **changes}
    main = {name: value for name, value in main.items() if value is not None}
    path = file_of(folders[0], "main", main=main)
    place = rf"{re.escape(str(path))}:\d+: students\.{re.escape(field)}: .*{re.escape(told)}"
    with pytest.raises(ConfigurationError, match=place):
        read_students(path)


def test_the_default_is_one_of_the_students(folders: list[Path]) -> None:
    main = {"manifest": str(folders[0])}
    with pytest.raises(
        ConfigurationError, match=r":1: default: no student is called other; .*main"
    ):
        of_file(file_of(folders[0], "other", main=main))
    path = folders[0] / "students.yaml"
    path.write_text(yaml.safe_dump({"students": {"main": main}}))
    with pytest.raises(ConfigurationError, match=r"default: is missing; add it"):
        of_file(path)


def test_a_file_with_another_checksum_is_refused_at_its_student(folders: list[Path]) -> None:
    (folders[1] / "template.yaml").write_text("torn")
    path = file_of(
        folders[0], "a", a={"manifest": str(folders[0])}, b={"manifest": str(folders[1])}
    )
    with pytest.raises(ConfigurationError, match=r":6: students\.b\.manifest: .*sha256 is"):
        of_file(path)


def test_no_two_students_are_the_same(folders: list[Path]) -> None:
    twice = {name: {"manifest": str(folders[0])} for name in ("a", "b")}
    told = r":6: students\.b\.manifest: is tiny@3, as that of a is: raise a version"
    with pytest.raises(ConfigurationError, match=told):
        of_file(file_of(folders[0], "a", **twice))
    given = {name: StudentSettings(manifest=folders[0]) for name in ("a", "b")}
    with pytest.raises(ConfigurationError, match="two students are both tiny@3"):
        of_settings(given, "a")


def test_the_example_of_the_page_has_the_fields_of_a_file() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## A file of students")[2]
    (example,) = re.findall(r"```yaml\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    given = FileIn.model_validate(yaml.safe_load(example))
    assert given.default in given.students


def test_students_with_the_same_tokenizer_have_it_read_once(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading one holds up the process, and most changes of a student do not touch it."""
    read: list[Path] = []

    class Read:
        def __init__(self, path: Path) -> None:
            read.append(path)

    monkeypatch.setattr(module.Tokenizer, "load", Read)
    monkeypatch.setattr(module, "load_template", Read)
    given = {
        name: StudentSettings(manifest=folder) for name, folder in zip("ab", folders, strict=True)
    }
    held = [module.renderer(one) for one in of_settings(given, "a").by_key.values()]
    assert [path.name for path in read].count("tokenizer.json") == 1
    del held
    module.renderer(*of_settings({"a": given["a"]}, "a").by_key.values())
    assert [path.name for path in read].count("tokenizer.json") == 2, "it was kept for nobody"


def test_how_many_faults_there_are_is_said(folders: list[Path]) -> None:
    path = file_of(folders[0], "b", a={"manifest": "/none/student.yaml"})
    with pytest.raises(ConfigurationError, match=r"\(and 1 more\)$"):
        of_file(path)


@pytest.mark.parametrize("text", ["", "students: [", "- a\n", "default: a\ndefault: b\n"])
def test_what_is_no_file_of_students_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "students.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(str(path))):
        of_file(path)


def test_the_only_student_of_the_settings_serves_and_of_several_the_one_named(
    folders: list[Path],
) -> None:
    given = {folder.name: StudentSettings(manifest=folder / "student.yaml") for folder in folders}
    assert of_settings({"3": given["3"]}, None).default == "tiny@3"
    assert of_settings(given, "4").default == "tiny@4"
    with pytest.raises(ConfigurationError, match="no student is configured: build one"):
        of_settings({}, None)
