"""A small byte-level tokenizer of the same kind as the base's, with control tokens."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from models.packaging.vocabulary import cut_tokenizer

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
NEWS = [
    "rowing regatta on the lake draws a record crowd",
    "battery ferry enters service on the northern route",
    "why sourdough bread needs a long cold rise",
    "the long road to a record harvest of wheat",
    "ferry crowd waits for the northern lights",
]


@cache
def _trained() -> str:
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=CONTROL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(NEWS * 3, trainer)
    return tokenizer.to_str()


def full() -> dict[str, Any]:
    """Its `tokenizer.json`: 3 control tokens, 256 bytes, and what was merged from them."""
    made: dict[str, Any] = json.loads(_trained())
    return made


def encode(tokenizer: dict[str, Any], text: str) -> list[int]:
    """The ids of a text."""
    return list(loaded(tokenizer).encode(text, add_special_tokens=False).ids)


def loaded(tokenizer: dict[str, Any]) -> tokenizers.Tokenizer:
    """The library's tokenizer of a `tokenizer.json`."""
    return tokenizers.Tokenizer.from_str(json.dumps(tokenizer))


def cut(kept: list[int]) -> dict[str, Any]:
    """The small tokenizer cut to these ids."""
    return cut_tokenizer(full(), kept)
