"""Adapters: written, read, refused where they are wrong, and merged to the bit."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.packaging.adapter_file import Matrix, merge, read_delta, write_adapter
from models.packaging.safetensors import bfloat16, read_tensors, write_tensors
from service.errors import ConfigurationError

Q = "model.layers.0.self_attn.q_proj"
PEFT = f"base_model.model.{Q}"


def normal(seed: int, *shape: int) -> Matrix:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def adapter(rank: int = 2, out: int = 6, width: int = 4) -> dict[str, NDArray[np.float32]]:
    return {
        f"{PEFT}.lora_A.weight": normal(1, rank, width),
        f"{PEFT}.lora_B.weight": normal(2, out, rank),
    }


def written(folder: Path, tensors: dict[str, Any], lora_alpha: float = 4.0) -> Path:
    path = folder / "adapter.safetensors"
    write_adapter(path, tensors, lora_alpha)
    return path


@given(st.integers(0, 2**32), st.integers(1, 140), st.integers(1, 20), st.integers(1, 5))
def test_a_merge_is_the_sum_in_its_written_order_to_the_bit(
    seed: int, out: int, width: int, rank: int
) -> None:
    weight = normal(seed, out, width)
    a, b = normal(seed + 1, rank, width), normal(seed + 2, out, rank)
    update = np.zeros((out, width), dtype=np.float32)
    for k in range(rank):
        update = update + b[:, k : k + 1] * a[k : k + 1, :]
    expected = weight + np.float32(1.7) * update
    assert merge(weight, a, b, 1.7).tobytes() == expected.tobytes()


@given(st.integers(0, 2**32), st.integers(1, 32))
def test_a_merge_is_the_matrix_product_as_far_as_float32_goes(seed: int, rank: int) -> None:
    weight, a, b = normal(seed, 70, 9), normal(seed + 1, rank, 9), normal(seed + 2, 70, rank)
    exact = weight.astype(np.float64) + 2.0 * (b.astype(np.float64) @ a.astype(np.float64))
    magnitude = np.abs(weight) + 2.0 * (np.abs(b) @ np.abs(a))
    error = np.abs(merge(weight, a, b, 2.0) - exact)
    assert (error <= (rank + 3) * 2.0**-24 * magnitude).all()


def test_a_written_adapter_is_read_with_its_scale(tmp_path: Path) -> None:
    tensors = adapter()
    delta = read_delta(written(tmp_path, tensors, lora_alpha=3.0))
    a, b = delta.pairs[f"{Q}.weight"]
    assert bfloat16(a).tobytes() == bfloat16(tensors[f"{PEFT}.lora_A.weight"]).tobytes()
    assert bfloat16(b).tobytes() == bfloat16(tensors[f"{PEFT}.lora_B.weight"]).tobytes()
    weight = normal(3, 6, 4)
    assert (delta.merged(f"{Q}.weight", weight) == merge(weight, a, b, 1.5)).all()
    assert delta.merged("model.norm.weight", weight) is weight
    assert [path.name for path in tmp_path.iterdir()] == ["adapter.safetensors"]


def test_an_adapter_is_the_same_bytes_in_whatever_order_its_tensors_come(tmp_path: Path) -> None:
    first = written(tmp_path, adapter()).read_bytes()
    assert written(tmp_path, dict(reversed(adapter().items()))).read_bytes() == first


def test_an_adapter_in_float32_is_read_exactly(tmp_path: Path) -> None:
    path, tensors, header, data = tmp_path / "a.safetensors", adapter(), {}, b""
    for name, values in tensors.items():
        places = [len(data), len(data) + values.nbytes]
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": places}
        data += values.tobytes()
    text = json.dumps({"__metadata__": {"lora_alpha": "2"}, **header}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    a, _ = read_delta(path).pairs[f"{Q}.weight"]
    assert (a == tensors[f"{PEFT}.lora_A.weight"]).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({f"{PEFT}.lora_B.weight": None}, f"the adapter of {Q}.weight has only lora_A"),
        ({f"{PEFT}.lora_A.weight": None}, f"the adapter of {Q}.weight has only lora_B"),
        ({f"{PEFT}.lora_B.weight": normal(2, 6, 3)}, "have the ranks 2 and 3"),
        ({f"{PEFT}.lora_A.weight": normal(2, 6)}, "lora_A.weight has the shape (6,)"),
        ({f"{PEFT}.lora_A.weight": np.full((2, 4), np.nan, np.float32)}, "not finite"),
        ({f"{PEFT}.lora_embedding_A": normal(1, 2, 4)}, "lora_embedding_A is not a tensor of"),
        ({f"{PEFT}.lora_magnitude_vector": normal(1, 2, 4)}, "is not a tensor of a LoRA adapter"),
    ],
)
def test_a_wrong_adapter_is_refused_by_the_tensor(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    changed = {**adapter(), **changes}
    tensors = {name: tensor for name, tensor in changed.items() if tensor is not None}
    path = written(tmp_path, tensors)
    with pytest.raises(ConfigurationError) as caught:
        read_delta(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("alpha", [None, "", "much", "0", "-1", "inf", "nan"])
def test_an_adapter_that_does_not_say_its_scale_is_refused(
    tmp_path: Path, alpha: str | None
) -> None:
    path, tensors = tmp_path / "a.safetensors", adapter()
    metadata = {} if alpha is None else {"lora_alpha": alpha}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    with path.open("wb") as file:
        write_tensors(file, shapes, tensors.values(), metadata)
    with pytest.raises(ConfigurationError, match="`lora_alpha`, a number above 0"):
        read_delta(path)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({}, f"adapts {Q}.weight, which the base lacks"),
        (
            {f"{Q}.weight": (6, 5)},
            f"the adapter of {Q}.weight is for 6 × 4, but the base's is 6 × 5",
        ),
        ({f"{Q}.weight": (6,)}, "but the base's is 6"),
    ],
)
def test_an_adapter_of_another_base_is_refused(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], words: str
) -> None:
    delta = read_delta(written(tmp_path, adapter()))
    delta.check({f"{Q}.weight": (6, 4)})
    with pytest.raises(ConfigurationError, match=words):
        delta.check(shapes)


@given(st.data())
def test_a_torn_file_is_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("torn"), adapter())
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ConfigurationError, match=r"adapter\.safetensors: "):
        read_tensors(path)


@given(st.data())
def test_a_damaged_header_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("damaged"), adapter())
    content = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    for place in data.draw(st.lists(st.integers(0, header - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(ConfigurationError):
        read_delta(path)


def test_a_failed_write_leaves_the_old_adapter(tmp_path: Path) -> None:
    path = written(tmp_path, adapter())
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        write_adapter(path, {**adapter(), "zz": None}, 4.0)  # type: ignore[dict-item]
    assert path.read_bytes() == before
    assert [left.name for left in tmp_path.iterdir()] == ["adapter.safetensors"]


def test_other_number_formats_are_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, adapter())
    path.write_bytes(path.read_bytes().replace(b'"BF16"', b'"F16" '))
    with pytest.raises(ConfigurationError) as caught:
        read_delta(path)
    assert f"{path}: {PEFT}.lora_A.weight is F16; only BF16 and F32 are read" in str(caught.value)


def test_tensors_come_by_name_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    path, names = tmp_path / "a.safetensors", [f"tensor {letter}" for letter in "dbeac"]
    with path.open("wb") as file:
        write_tensors(file, dict.fromkeys(names, (2,)), [normal(1, 2)] * len(names), {})
    tensors, metadata = read_tensors(path)
    assert list(tensors) == sorted(names)
    assert metadata == {}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.safetensors: cannot be read: No such"):
        read_tensors(tmp_path / "gone.safetensors")


@given(st.floats(2.0**-100, 2.0**127, width=32), st.sampled_from([1, -1]))
def test_rounding_to_bfloat16_takes_the_nearest(value: float, sign: int) -> None:
    exact = np.array([sign * value], dtype=np.float32)
    bits = bfloat16(exact).astype(np.uint32)
    near = (np.stack([bits - 1, bits, bits + 1]) << np.uint32(16)).view(np.float32)
    distance = np.abs(near.astype(np.float64) - exact)
    assert distance[1] == distance.min()
