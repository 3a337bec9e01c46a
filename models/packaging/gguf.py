"""From a llama-family GGUF file to what vLLM and `tokenizers` read: weights, config, tokenizer.

Only numpy and `gguf` are needed: no torch, no transformers. The result is a pure function of the
GGUF file, the tokens kept and the delta, so its checksums can stand in the manifest.

Two details that a straight copy of the tensors would miss:
- GGUF stores the query and key projections with the rows of each head interleaved for its rotary
  embedding; Hugging Face keeps the two halves apart.
- The GGUF names its pre-tokenizer only (`smollm`): split digits one by one, then GPT-2's regex.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.packaging.adapter_file import Delta
from models.packaging.safetensors import write_tensors
from service.errors import ConfigurationError

if TYPE_CHECKING:
    from gguf import GGUFReader

_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_A_ROW_PER_TOKEN = ("token_embd.weight", "output.weight")
_CONTROL = 3
"""GGUF's token type of control tokens."""


def config_of(reader: GGUFReader, kept: Sequence[int] | None = None) -> dict[str, Any]:
    """`config.json` of a llama-family GGUF, cut to the tokens `kept` where they are given.

    Raises `ConfigurationError` for another family.
    """
    if (architecture := _field(reader, "general.architecture")) != "llama":
        raise ConfigurationError(f"the GGUF holds a {architecture!r} model; only llama is known")
    hidden = _field(reader, "llama.embedding_length")
    heads = _field(reader, "llama.attention.head_count")

    def token(role: str) -> int:
        old: int = _field(reader, f"tokenizer.ggml.{role}_token_id")
        return old if kept is None else kept.index(old)

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": _field(reader, "llama.vocab_size") if kept is None else len(kept),
        "hidden_size": hidden,
        "intermediate_size": _field(reader, "llama.feed_forward_length"),
        "num_hidden_layers": _field(reader, "llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": _field(reader, "llama.attention.head_count_kv"),
        "head_dim": hidden // heads,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "max_position_embeddings": _field(reader, "llama.context_length"),
        "rms_norm_eps": round(float(_field(reader, "llama.attention.layer_norm_rms_epsilon")), 9),
        "rope_theta": float(_field(reader, "llama.rope.freq_base")),
        "tie_word_embeddings": not any(t.name == "output.weight" for t in reader.tensors),
        "bos_token_id": token("bos"),
        "eos_token_id": token("eos"),
        "pad_token_id": token("padding"),
    }


def tokenizer_of(reader: GGUFReader) -> dict[str, Any]:
    """`tokenizer.json` of the same, for the `tokenizers` library."""
    if (pre := _field(reader, "tokenizer.ggml.pre")) != "smollm":
        raise ConfigurationError(f"the GGUF's pre-tokenizer is {pre!r}; only smollm is known")
    tokens = _field(reader, "tokenizer.ggml.tokens")
    types = _field(reader, "tokenizer.ggml.token_type")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for i, (token, kind) in enumerate(zip(tokens, types, strict=True))
            if kind == _CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {**byte_level, "use_regex": True},
            ],
        },
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [m.split(" ") for m in _field(reader, "tokenizer.ggml.merges")],
        },
    }


def tokenizer_config_of(reader: GGUFReader) -> dict[str, Any]:
    """`tokenizer_config.json`: which class reads it, and the control tokens by their roles."""
    tokens = _field(reader, "tokenizer.ggml.tokens")

    def named(role: str) -> str:
        return str(tokens[_field(reader, f"tokenizer.ggml.{role}_token_id")])

    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": _field(reader, "llama.context_length"),
        "bos_token": named("bos"),
        "eos_token": named("eos"),
        "pad_token": named("padding"),
        "unk_token": named("unknown"),
    }


def write_weights(
    reader: GGUFReader,
    path: Path,
    progress: Callable[[float], None],
    *,
    kept: Sequence[int] | None = None,
    delta: Delta | None = None,
) -> None:
    """Dequantise every tensor to bfloat16 into one safetensors file at `path`.

    With `kept`, embeddings have the rows of those tokens only, in that order; with `delta`, it is
    merged in before the rounding. `progress` is called with the share done, 0 to 1. Raises
    `ConfigurationError` where the delta does not fit, before anything is written.
    """
    shapes = {}
    for tensor in reader.tensors:
        rows, *others = (int(size) for size in reversed(tensor.shape))
        if kept is not None and tensor.name in _A_ROW_PER_TOKEN:
            rows = len(kept)
        shapes[_name(tensor.name)] = (rows, *others)
    if delta is not None:
        delta.check(shapes)

    def values() -> Iterator[NDArray[np.float32]]:
        for done, (name, tensor) in enumerate(_tensors(reader, kept), start=1):
            yield tensor if delta is None else delta.merged(name, tensor)
            progress(done / len(shapes))

    with path.open("wb") as file:
        write_tensors(file, shapes, values(), {"format": "pt"})


def _tensors(
    reader: GGUFReader, kept: Sequence[int] | None
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Every tensor with its Hugging Face name and layout, dequantised."""
    from gguf import dequantize

    heads = _field(reader, "llama.attention.head_count")
    kv_heads = _field(reader, "llama.attention.head_count_kv")
    for tensor in reader.tensors:
        data = tensor.data
        if kept is not None and tensor.name in _A_ROW_PER_TOKEN:
            data = data[np.asarray(kept)]  # quantised blocks lie within rows
        values = np.asarray(dequantize(data, tensor.tensor_type), dtype=np.float32)
        if tensor.name.endswith("attn_q.weight"):
            values = _halves_apart(values, heads)
        elif tensor.name.endswith("attn_k.weight"):
            values = _halves_apart(values, kv_heads)
        yield _name(tensor.name), values


def _name(gguf_name: str) -> str:
    """`blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`."""
    if gguf_name in _TOP:
        return _TOP[gguf_name]
    parts = gguf_name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _NAMES:
        return f"model.layers.{parts[1]}.{_NAMES[parts[2]]}.{parts[3]}"
    raise ConfigurationError(f"the GGUF holds a tensor of another architecture: {gguf_name}")


def _halves_apart(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Undo the interleaving of each head's rows: (heads·2·half, in) → the same shape."""
    out, width = rows.shape
    return rows.reshape(heads, out // heads // 2, 2, width).swapaxes(1, 2).reshape(out, width)


def _field(reader: GGUFReader, key: str) -> Any:
    field = reader.get_field(key)
    if field is None:
        raise ConfigurationError(f"the GGUF has no field {key}")
    return field.contents()
