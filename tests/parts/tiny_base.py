"""A base that trains in seconds: a language model of three narrow layers with random weights.

It comes as the real one does, a GGUF file inside an installed package, with the real one's
tokenizer. `python -m tests.parts.tiny_base FOLDER`, in an environment that has the real one, puts
the package into a folder that is to stand on `PYTHONPATH`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.packaging.adapter_file import write_adapter
from models.packaging.packaged import base_named_in, packaged_file
from models.packaging.registry import BASE_STUDENT, find_student
from service.manifest import PackagedBase, sha256_of

LAYERS, WIDTH, INNER, HEADS, KV_HEADS = 3, 32, 64, 2, 1
SHAPES = {
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (WIDTH // HEADS * KV_HEADS, WIDTH),
    "self_attn.v_proj": (WIDTH // HEADS * KV_HEADS, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH),
    "mlp.gate_proj": (INNER, WIDTH),
    "mlp.up_proj": (INNER, WIDTH),
    "mlp.down_proj": (WIDTH, INNER),
}
"""(out, in) of each matrix of a layer, by its name in Hugging Face layout."""
_GGUF_NAMES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_PACKAGE, _VERSION = "tiny-base", "1.0"
_FILE = "tiny_base/tiny.gguf"


def tiny_base(folder: Path) -> PackagedBase:
    """What a manifest says of the package in this folder."""
    return PackagedBase(
        distribution=_PACKAGE, version=_VERSION, file=_FILE, sha256=sha256_of(folder / _FILE)
    )


def write_start(path: Path, rank: int, alpha: int, first_layer: int = 0) -> None:
    """Write an adapter of small random values for this base."""
    random, tensors = np.random.default_rng(3), {}
    for layer in range(first_layer, LAYERS):
        for module, (out, width) in SHAPES.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            for side, shape in (("A", (rank, width)), ("B", (out, rank))):
                drawn = random.standard_normal(shape, dtype=np.float32)
                tensors[f"{name}.lora_{side}.weight"] = drawn * np.float32(0.1)
    write_adapter(path, tensors, alpha)


def write_package(folder: Path) -> None:
    """Write the package: its metadata and its GGUF file."""
    about = folder / f"{_PACKAGE.replace('-', '_')}-{_VERSION}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {_PACKAGE}\nVersion: {_VERSION}\n"
    )
    (folder / _FILE).parent.mkdir()
    _write_gguf(folder / _FILE)


def _write_gguf(path: Path) -> None:
    from gguf import GGUFReader, GGUFWriter

    real = GGUFReader(packaged_file(base_named_in(find_student(BASE_STUDENT).folder)))

    def of_the_real(key: str) -> Any:
        return real.get_field(f"tokenizer.ggml.{key}").contents()

    tokens = of_the_real("tokens")
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(1024)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model(of_the_real("model"))
    writer.add_tokenizer_pre(of_the_real("pre"))
    writer.add_token_list(tokens)
    writer.add_token_types(of_the_real("token_type"))
    writer.add_token_merges(of_the_real("merges"))
    writer.add_bos_token_id(of_the_real("bos_token_id"))
    writer.add_eos_token_id(of_the_real("eos_token_id"))
    writer.add_unk_token_id(of_the_real("unknown_token_id"))
    writer.add_pad_token_id(of_the_real("padding_token_id"))
    for name, values in _tensors(len(tokens)):
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(tokens: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    random = np.random.default_rng(5)

    def drawn(*shape: int) -> NDArray[np.float32]:
        return random.standard_normal(shape, dtype=np.float32) / np.float32(shape[-1] ** 0.5)

    ones = np.ones(WIDTH, np.float32)
    yield "token_embd.weight", drawn(tokens, WIDTH)
    yield "output_norm.weight", ones
    for layer in range(LAYERS):
        yield f"blk.{layer}.attn_norm.weight", ones
        yield f"blk.{layer}.ffn_norm.weight", ones
        for name, shape in zip(_GGUF_NAMES, SHAPES.values(), strict=True):
            yield f"blk.{layer}.{name}.weight", drawn(*shape)


if __name__ == "__main__":
    write_package(Path(sys.argv[1]))
