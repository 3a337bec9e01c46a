"""`interests doctor`: what it finds of students and engines, and the command that mends it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from models.packaging.registry import STUDENTS
from service.commands import doctor, doctor_index
from service.commands.doctor import examine
from service.commands.findings import Finding
from service.retrieval.indexes.loading import load
from service.retrieval.indexes.tantivy_writer import TantivyWriter
from service.settings import Settings
from tests.parts.gateway import free_port
from tests.parts.languages import articles_in
from tests.unit.service.test_manifest import folder_with


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (doctor, doctor_index):
        monkeypatch.setattr(module, "PART_S", 0.2)


async def found(
    tmp_path: Path,
    students_file: Path | None = None,
    experiments_file: Path | None = None,
    **students: object,
) -> dict[str, Finding]:
    nobody = f"redis://127.0.0.1:{free_port()}"
    settings = Settings(
        data_dir=tmp_path,
        redis_url=nobody,
        port=free_port(),
        students=dict(students),
        students_file=students_file,
        experiments_file=experiments_file,
    )
    return {finding.part.partition(" ")[0]: finding for finding in await examine(settings)}


async def test_an_index_in_another_language_is_said_with_what_to_set_or_do(tmp_path: Path) -> None:
    writer = TantivyWriter(tmp_path / "index" / "news", language="german")
    await load(writer, articles_in("german"))
    said = (await found(tmp_path))["index"]
    assert "is in german, and INTERESTS_INDEX_LANGUAGE says english" in said.says
    assert said.remedy.startswith("set it to german, or load the articles again")


async def test_without_a_student_it_says_how_to_build_one(tmp_path: Path) -> None:
    said = (await found(tmp_path))["students"]
    assert "`interests students build`" in said.says
    assert said.remedy


async def test_a_student_that_is_not_built_is_said_with_its_own_version(tmp_path: Path) -> None:
    place = tmp_path / "interests-small" / "8" / "student.yaml"
    said = (await found(tmp_path, main={"manifest": place}))["students"]
    assert f"`interests students build interests-small@8 --into {tmp_path}`" in said.says


async def test_engines_are_started_by_a_command_that_names_folder_and_port(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    manifest = folder / "student.yaml"
    start = f"`interests engine --student {folder}"
    none = (await found(tmp_path, main={"manifest": manifest}))["student"]
    assert f"{start}`" in none.remedy
    assert "INTERESTS_STUDENTS__MAIN__ENGINES" in none.remedy
    port = free_port()
    urls = (f"http://127.0.0.1:{port}",)
    down = (await found(tmp_path, main={"manifest": manifest, "engines": urls}))["engine"]
    assert f"{start} --port {port}`" in down.remedy


def good_students_file(tmp_path: Path) -> tuple[Path, Path]:
    """A file of students that serves `tiny@3`, and the student's folder."""
    template = (STUDENTS / "smollm2-base" / "1" / "template.yaml").read_bytes()
    folder = folder_with(tmp_path, template__sha256=hashlib.sha256(template).hexdigest())
    (folder / "template.yaml").write_bytes(template)
    file = tmp_path / "students.yaml"
    file.write_text(f"default: main\nstudents:\n  main:\n    manifest: {folder}\n")
    return file, folder


async def test_a_file_of_students_is_said_to_be_well_or_what_is_wrong_with_it(
    tmp_path: Path,
) -> None:
    file, folder = good_students_file(tmp_path)
    said = await found(tmp_path, file)
    assert said["students"].says == f"{file} has no fault; tiny@3 serves by default"
    assert f"students.main.engines of {file}" in said["student"].remedy
    (folder / "template.yaml").write_text("torn")
    bad = (await found(tmp_path, file))["students"]
    assert bad.says.startswith(f"{file}:4: students.main.manifest: ")
    assert bad.remedy.startswith("mend it: gateways go on with the last good one")


ROLLOUT = """\
layers:
  - name: students
    salt: students
    experiments:
      - {key: tiny, kind: rollout, status: running, buckets: [0, 9999], traffic: 1%,
         arms: [{name: tiny, student: tiny@3}]}
"""


async def test_a_file_of_experiments_is_said_to_be_well_or_why_no_gateway_starts_with_it(
    tmp_path: Path,
) -> None:
    students, _ = good_students_file(tmp_path)
    file = tmp_path / "experiments.yaml"
    file.write_text(ROLLOUT)
    said = (await found(tmp_path, students, file))["file"]
    assert (said.says.startswith(f"{file} has no fault by itself"), said.remedy) == (True, "")
    file.write_text(ROLLOUT.replace("tiny@3", "tiny@4"))
    bad = (await found(tmp_path, students, file))["file"]
    assert "no student is called tiny@4; there are: heuristic, tiny@3" in bad.says
    assert bad.remedy.startswith("mend it: gateways go on with the last good one")
