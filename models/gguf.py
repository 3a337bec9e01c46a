"""From a llama-family GGUF file to what vLLM and `tokenizers` read: weights, config, tokenizer.

Only numpy and `gguf` are needed: no torch, no transformers. The result is a pure function of the
GGUF file, so its checksums can stand in the manifest.

Two details that a straight copy of the tensors would miss:
- GGUF stores the query and key projections with the rows of each head interleaved for its rotary
  embedding; Hugging Face keeps the two halves apart.
- The GGUF names its pre-tokenizer only (`smollm`): split digits one by one, then GPT-2's regex.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
_CONTROL = 3
"""GGUF's token type of control tokens."""


def config_of(reader: GGUFReader) -> dict[str, Any]:
    """`config.json` of a llama-family GGUF. Raises `ConfigurationError` for another family."""
    if (architecture := _field(reader, "general.architecture")) != "llama":
        raise ConfigurationError(f"the GGUF holds a {architecture!r} model; only llama is known")
    hidden = _field(reader, "llama.embedding_length")
    heads = _field(reader, "llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": _field(reader, "llama.vocab_size"),
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
        "bos_token_id": _field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _field(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": _field(reader, "tokenizer.ggml.padding_token_id"),
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


def write_weights(reader: GGUFReader, path: Path, progress: Callable[[float], None]) -> None:
    """Dequantise every tensor to bfloat16 into one safetensors file at `path`.

    Format: 8 bytes of header length (little endian), JSON header, then the tensors back to back
    (https://huggingface.co/docs/safetensors). Written tensor by tensor: memory stays at one tensor.
    `progress` is called with the share done, 0 to 1.
    """
    heads = _field(reader, "llama.attention.head_count")
    kv_heads = _field(reader, "llama.attention.head_count_kv")
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for tensor in reader.tensors:
        size = int(np.prod(tensor.shape)) * 2
        header[_name(tensor.name)] = {
            "dtype": "BF16",
            "shape": [int(d) for d in reversed(tensor.shape)],
            "data_offsets": [at, at + size],
        }
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for done, (name, values) in enumerate(_tensors(reader), start=1):
            if name.endswith("attn_q.weight"):
                values = _halves_apart(values, heads)
            elif name.endswith("attn_k.weight"):
                values = _halves_apart(values, kv_heads)
            file.write(_bfloat16(values).tobytes())
            progress(done / len(reader.tensors))


def _tensors(reader: GGUFReader) -> Iterator[tuple[str, NDArray[np.float32]]]:
    from gguf import dequantize

    for tensor in reader.tensors:
        yield tensor.name, np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)


def _name(gguf_name: str) -> str:
    """`blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`."""
    top = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    }
    if gguf_name in top:
        return top[gguf_name]
    parts = gguf_name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _NAMES:
        return f"model.layers.{parts[1]}.{_NAMES[parts[2]]}.{parts[3]}"
    raise ConfigurationError(f"the GGUF holds a tensor of another architecture: {gguf_name}")


def _halves_apart(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Undo the interleaving of each head's rows: (heads·2·half, in) → the same shape."""
    out, width = rows.shape
    return rows.reshape(heads, out // heads // 2, 2, width).swapaxes(1, 2).reshape(out, width)


def _bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round to nearest even: the upper 16 bits of a float32."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype("<u2")


def _field(reader: GGUFReader, key: str) -> Any:
    field = reader.get_field(key)
    if field is None:
        raise ConfigurationError(f"the GGUF has no field {key}")
    return field.contents()
