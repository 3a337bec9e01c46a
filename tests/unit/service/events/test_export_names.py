"""Folders of exported segments: what their names say, and what else may lie beside them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ConfigurationError
from service.events.export.folder import opened, segments_in
from service.events.export.ids import START, EntryId, Segment, segment_of

NUMBERS = st.integers(0, 2**64 - 1)
IDS = st.builds(EntryId, NUMBERS, NUMBERS).filter(lambda one: one > START)


@given(st.integers(0, 3), IDS, IDS)
def test_a_segments_name_says_all_of_it(partition: int, one: EntryId, other: EntryId) -> None:
    segment = Segment(partition, min(one, other), max(one, other))
    assert segment_of(str(segment)) == segment


@pytest.mark.parametrize(
    "name",
    [
        "0_1-1_1",
        "0_1-1",
        "4_1-1_1-2",
        "0_1-2_1-1",
        "0_01-1_1-2",
        "0_0-0_1-2",
        "0_1-1_1-2.old",
        ".writing-0_1-1_1-2",
        "0_1-1_1-٢",
        "exposures",
    ],
)
def test_other_names_are_no_segments(name: str) -> None:
    assert segment_of(name) is None


def test_segments_are_in_the_order_of_their_streams(tmp_path: Path) -> None:
    names = ["0_9-1_9-2", "0_10-0_10-7", "1_2-1_2-1"]
    for name in (*reversed(names), ".writing-1234", "notes"):
        (tmp_path / name).mkdir()
    assert [str(segment) for segment in segments_in(tmp_path)] == names


def whole(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "exposures.jsonl").touch()


def test_an_export_goes_on_after_the_last_of_each_partition(tmp_path: Path) -> None:
    whole(tmp_path, "0_9-1_9-2")
    whole(tmp_path, "0_10-0_10-7")
    with opened(tmp_path, "jsonl") as folder:
        assert [folder.position(partition) for partition in (0, 1)] == [EntryId(10, 7), START]
        segment = Segment(1, EntryId(3, 0), EntryId(4, 0))
        with folder.writing() as aside:
            (aside / "exposures.jsonl").touch()
            folder.complete(aside, segment)
        assert folder.position(1) == EntryId(4, 0)
    assert str(segment) in {path.name for path in tmp_path.iterdir()}


def test_what_a_killed_export_left_is_removed_at_the_start(tmp_path: Path) -> None:
    whole(tmp_path, "0_9-1_9-2")
    left = tmp_path / ".writing-12345678"
    left.mkdir()
    (left / "exposures.jsonl").write_text("half a row")
    with opened(tmp_path, "jsonl"):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", "0_9-1_9-2"}


def test_an_error_while_a_segment_is_written_leaves_nothing(tmp_path: Path) -> None:
    def fail(error: Exception) -> None:
        with opened(tmp_path, "jsonl") as folder, folder.writing() as aside:
            (aside / "exposures.jsonl").write_text("half a row")
            raise error

    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(
        ConfigurationError, match="cannot be written: No space left on device; free"
    ):
        fail(full)
    with pytest.raises(RuntimeError):
        fail(RuntimeError())
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_the_root_of_a_disk_is_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".snapshots").mkdir()
    with opened(tmp_path, "jsonl"):
        pass


def test_a_folder_that_is_no_folder_of_events_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with (
        pytest.raises(ConfigurationError, match=r"holds thesis\.tex, and no events"),
        opened(tmp_path, "jsonl"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
