"""`interests encoders`: what there is, and an archive that is no encoder's."""

from __future__ import annotations

import json
from pathlib import Path

from tests.parts.command import interests_here


def test_encoders_are_listed_with_dimension_licence_and_meaning() -> None:
    said = interests_here("encoders", "list", env={}).stdout
    assert "all-minilm-l6-v2@1  (384 dimensions, Apache-2.0)" in said
    listed = json.loads(interests_here("encoders", "list", "--json", env={}).stdout)
    assert {"name", "version", "dimension", "source", "licence"} <= set(listed[0])


def test_what_cannot_be_built_is_one_line(tmp_path: Path) -> None:
    unknown = interests_here("encoders", "build", "nobody", env={})
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    assert "there are: all-minilm-l6-v2@1" in unknown.stderr
    (tmp_path / "other.jar").write_bytes(b"something else")
    words = ("encoders", "build", "--archive", str(tmp_path / "other.jar"), "--into")
    other = interests_here(*words, str(tmp_path / "built"), env={})
    assert other.returncode == 2
    assert "other.jar: sha256 is" in other.stderr.replace("\n", " ")
