from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from loadtests.gpu import engines as gpu_engines
from loadtests.gpu.choosing import (
    Level,
    best_within,
    cached_share,
    levels,
    smallest_that_suffices,
)
from loadtests.gpu.engines import Choice, changed, engines
from loadtests.gpu.offline import sampling_of
from loadtests.gpu.stage import computed
from loadtests.gpu.students import parameters, untrained
from loadtests.raw_client import Reply
from loadtests.rig.loops import OK
from models.packaging.registry import find_student
from service.errors import ConfigurationError
from service.manifest import MANIFEST
from service.records import Decoding


class Card:
    """A card that answers `most` users a second, each `alone_ms` or as long as callers queue."""

    def __init__(self, most: float, alone_ms: float) -> None:
        self.most, self.alone_ms = most, alone_ms
        self.asked: list[int] = []

    def __call__(self, callers: int) -> Level:
        self.asked.append(callers)
        ms = max(self.alone_ms, 1000 * callers / self.most)
        return Level(callers, 1000 * callers / ms, ms)


def test_the_search_ends_close_below_the_limit_and_asks_each_number_once() -> None:
    card = Card(most=500, alone_ms=100)
    found = levels(card, limit_ms=150, most=1024)
    best = best_within(found, 150)
    assert best is not None
    assert 60 <= best.callers <= 75  # 75 callers are answered in 150 ms
    assert len(card.asked) == len(set(card.asked)) <= 12
    assert [one.callers for one in found] == sorted(card.asked)


def test_a_card_that_is_too_slow_for_one_caller_has_no_users_in_time() -> None:
    card = Card(most=500, alone_ms=200)
    found = levels(card, limit_ms=150, most=1024)
    assert card.asked == [1]
    assert best_within(found, 150) is None


def test_the_search_stops_where_more_callers_bring_no_more_users() -> None:
    card = Card(most=80, alone_ms=50)
    found = levels(card, limit_ms=10_000, most=1024)
    assert max(card.asked) <= 16
    assert best_within(found, 10_000) is not None


def test_no_more_callers_are_asked_than_allowed() -> None:
    card = Card(most=1e6, alone_ms=50)
    levels(card, limit_ms=150, most=100)
    assert card.asked == [1, 2, 4, 8, 16, 32, 64, 100]


def test_the_smallest_number_of_sequences_with_nearly_the_most_users_is_taken() -> None:
    assert smallest_that_suffices({256: 1000.0, 128: 990.0, 64: 900.0}) == 128
    assert smallest_that_suffices({64: 10.0}) == 64
    with pytest.raises(ValueError, match="max_num_seqs"):
        smallest_that_suffices({})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'"degraded":[]', OK),
        (b'"degraded":["generation_invalid"]', OK),
        (b'"degraded":["generation_partial"]', '"generation_partial"'),
        (b'"degraded":["generation_overloaded"]', '"generation_overloaded"'),
    ],
)
def test_an_answer_counts_where_the_engine_has_written_to_the_end(body: bytes, said: str) -> None:
    assert computed(Reply(200, body, 0.1, None, 0.1)) == said
    assert computed(Reply(503, body, 0.1, None, 0.1)) == "status 503"


def metrics(hits: float, asked: float) -> str:
    label = '{engine="0",model_name="a@1"}'
    return (
        "# HELP vllm:prefix_cache_queries_total Prefix cache queries\n"
        f"vllm:prefix_cache_queries_total{label} {asked}\n"
        f"vllm:prefix_cache_hits_total{label} {hits}\n"
        f"vllm:prefix_cache_hits_created{label} 1.7e9\n"
        f"vllm:external_prefix_cache_hits_total{label} 5.0\n"
    )


def test_the_cached_share_is_of_the_tokens_between_two_readings() -> None:
    assert cached_share(metrics(10, 100), metrics(85, 200)) == 0.75
    assert cached_share(metrics(0, 0), metrics(1.5e6, 3e6)) == 0.5
    assert cached_share(metrics(10, 100), metrics(10, 100)) == 0
    assert cached_share("", metrics(1, 4)) == 0.25


def test_one_choice_changes_speculation_and_sequences_and_nothing_else() -> None:
    manifest = find_student("interests-small").manifest
    off = changed(manifest, Choice(speculation=False, seqs=7))
    assert off.engine.speculation is None
    assert off.engine.max_num_seqs == 7
    on = changed(off, Choice(speculation=True, seqs=manifest.engine.max_num_seqs))
    assert on == manifest


def built(folder: Path) -> Path:
    """A student's folder as far as it takes to make another one of it."""
    entry = find_student("interests-small")
    folder.mkdir()
    for file in entry.folder.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / "config.json").write_text(json.dumps({"vocab_size": 12_288, "hidden_size": 576}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder / MANIFEST


def test_the_untrained_student_has_a_billion_parameters_and_no_weights(tmp_path: Path) -> None:
    student = built(tmp_path / "built")
    made = untrained(student, tmp_path / "large", tiny=False)
    assert 0.9e9 < made.manifest.parameters < 1.1e9
    assert made.manifest.engine.flags == ("--load-format", "dummy")
    assert not (made.folder / "model.safetensors").exists()
    assert (made.folder / made.manifest.template.file).is_file()
    assert yaml.safe_load(student.read_text())["name"] == "interests-small"
    small = untrained(student, tmp_path / "tiny", tiny=True)
    assert small.manifest.parameters < 2e6


def test_parameters_are_counted_as_those_of_a_student_whose_number_is_known() -> None:
    config = {
        "vocab_size": 12_283,  # without the rows that fill its table up to a round number
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
    }
    assert parameters(config) == find_student("interests-small@9").manifest.parameters


def test_offline_samples_as_the_gateway_asks() -> None:
    body = {"model": "a@1", "prompt": [1], "stream": True, "stop": None, "n": 2, "temperature": 0.0}
    assert sampling_of(body) == {"n": 2, "temperature": 0.0}
    told = sampling_of(dict.fromkeys(Decoding.__dataclass_fields__, 1))
    assert set(told) == set(Decoding.__dataclass_fields__)


def test_without_a_gpu_it_says_so_and_how_to_try_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_engines, "card_of", lambda python: "")
    with pytest.raises(ConfigurationError, match=r"no GPU.*--device cpu --tiny"):
        engines("gpu", tmp_path)
    assert engines("cpu", tmp_path).card == ""
    monkeypatch.setattr(gpu_engines, "card_of", lambda python: "a card")
    assert engines("gpu", tmp_path).card == "a card"
