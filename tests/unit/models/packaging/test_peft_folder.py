"""A delta written as PEFT's files: the same tensors, and a configuration that scales as it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.packaging.adapter_file import read_delta, write_adapter
from models.packaging.peft_folder import PEFT_CONFIG, PEFT_WEIGHTS, read_peft, write_peft
from service.errors import ConfigurationError
from tests.unit.models.packaging.test_adapter_file import adapter, written


def test_a_delta_becomes_pefts_files_with_its_own_scale(tmp_path: Path) -> None:
    delta = written(tmp_path, adapter(rank=2), lora_alpha=4.0)
    into = tmp_path / "peft"
    into.mkdir()
    write_peft(delta, into, "news@1")
    assert (into / PEFT_WEIGHTS).read_bytes() == delta.read_bytes()
    config = json.loads((into / PEFT_CONFIG).read_text())
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (2, 4, ["q_proj"])
    assert config["lora_alpha"] / config["r"] == read_delta(delta).lora_alpha / 2
    assert config["base_model_name_or_path"] == "news@1"
    found = read_peft(into)
    assert (found.rank, found.parameters) == (2, 2 * 4 + 6 * 2)
    assert found.shapes == {"model.layers.0.self_attn.q_proj.weight": (6, 4)}


def test_a_delta_of_several_ranks_is_for_merging_only(tmp_path: Path) -> None:
    other = {name.replace("q_proj", "k_proj"): one for name, one in adapter(rank=3).items()}
    delta = tmp_path / "adapter.safetensors"
    write_adapter(delta, {**adapter(rank=2), **other}, 4.0)
    with pytest.raises(ConfigurationError, match="of the ranks 2, 3, and an engine serves"):
        write_peft(delta, tmp_path, "news@1")
    assert not (tmp_path / PEFT_CONFIG).exists()


def test_a_tensor_that_is_no_matrix_of_a_lora_adapter_is_named(tmp_path: Path) -> None:
    tensors = {name: one for name, one in adapter().items() if "lora_A" in name}
    for more, said in (
        ({}, "has only lora_A"),
        ({"base_model.model.lm_head.weight": adapter().popitem()[1]}, "lm_head.weight is not a"),
    ):
        write_adapter(tmp_path / PEFT_WEIGHTS, {**tensors, **more}, 4.0)
        (tmp_path / PEFT_CONFIG).write_text('{"r": 2, "lora_alpha": 4}')
        with pytest.raises(ConfigurationError, match=said):
            read_peft(tmp_path)
