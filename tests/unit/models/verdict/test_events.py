"""Folders of events: both formats say the same, and what cannot be read is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from models.verdict import events
from models.verdict.events import sources
from service.errors import ConfigurationError, InvalidInput
from tests.parts.events import START_MS, exposure, placed, write_segment
from tests.unit.models.verdict.builders import KEY, read, write_experiment

USERS, RATES = {"control": 5, "other": 4}, {"control": 0.1, "other": 0.9}


def test_json_lines_say_what_parquet_says(tmp_path: Path) -> None:
    found = [
        read(write_experiment(tmp_path / form, USERS, rates=RATES, form=form))
        for form in ("parquet", "jsonl")
    ]
    for name in found[0].__slots__:
        first, second = (getattr(users, name) for users in found)
        assert np.array_equal(first, second), name
    assert found[0].done.sum() > 0


def test_times_of_json_lines_may_be_milliseconds(tmp_path: Path) -> None:
    segment = write_segment(
        tmp_path, [exposure("r", "maya", START_MS, placed(KEY, "control"))], form="jsonl"
    )
    row: dict[str, Any] = orjson.loads((segment / "exposures.jsonl").read_bytes())
    (segment / "exposures.jsonl").write_bytes(orjson.dumps(row | {"at": START_MS}))
    assert read(tmp_path).start_ms == START_MS


def test_a_segment_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    write_experiment(tmp_path, USERS, rates=RATES)
    (tmp_path / ".writing-0_1-0_2-0").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert len(sources(tmp_path)) == 2 * 2


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    for form in ("parquet", "jsonl"):
        folder = tmp_path / f"maya's [a-b]*?{{x}} {form}"
        write_experiment(folder, USERS, rates=RATES, form=form)
        assert len(read(folder).arm) == 9


def test_an_unknown_key_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    write_experiment(tmp_path, USERS, rates=RATES)
    with pytest.raises(InvalidInput, match=f"no user .* is in nonsense; .* are: {KEY}$"):
        read(tmp_path, "nonsense")


def test_events_without_experiments_say_so(tmp_path: Path) -> None:
    write_segment(tmp_path, [exposure("r", "maya", START_MS)])
    with pytest.raises(InvalidInput, match="no user of these events is in an experiment"):
        read(tmp_path)


def test_a_folder_that_is_not_there_or_has_no_segment_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"no folder {tmp_path}/none"):
        sources(tmp_path / "none")
    with pytest.raises(InvalidInput, match=f"{tmp_path} holds no segment"):
        sources(tmp_path)


def test_a_segment_without_one_of_its_files_is_named(tmp_path: Path) -> None:
    segment = write_segment(tmp_path)
    (segment / "feedback.parquet").unlink()
    with pytest.raises(InvalidInput, match=rf"{segment} has neither feedback\.parquet"):
        sources(tmp_path)


@pytest.mark.parametrize("table", ["exposures", "feedback"])
@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("parquet", b""),
        ("parquet", b"PAR1 and no more"),
        ("jsonl", b'{"at": '),
        ("jsonl", b'{"at": "yesterday", "user_id": "maya"}\n'),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_one_line(
    tmp_path: Path, table: str, form: Any, content: bytes
) -> None:
    write_segment(tmp_path, form=form)
    path = next(tmp_path.glob(f"*/{table}.{form}"))
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as error:
        read(tmp_path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_parquet_file_cut_short_or_without_a_column_is_named(tmp_path: Path) -> None:
    write_experiment(tmp_path, USERS, rates=RATES)
    path = next(tmp_path.glob("*/exposures.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput, match=str(path)):
        read(tmp_path)
    path.write_bytes(path.with_name("feedback.parquet").read_bytes())
    with pytest.raises(InvalidInput, match=str(path)):
        read(tmp_path)


def test_events_for_which_there_is_no_room_say_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_experiment(tmp_path, USERS, rates=RATES)
    monkeypatch.setattr(events, "_MEMORY", "1MB")
    with pytest.raises(ConfigurationError, match=r"no room for the events in .*TMPDIR"):
        read(tmp_path)
