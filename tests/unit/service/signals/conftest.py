"""A small byte-level tokenizer with control tokens, trained in a moment, and a template for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from service.signals.template import Template, Tokenizer

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "[INST]"]
TEXT = ["the reader searched news about trains in the north and bought a ticket"] * 4


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=CONTROL, initial_alphabet=alphabet, show_progress=False
        ),
    )
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return path


@pytest.fixture(scope="session")
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.load(tokenizer_file)


@pytest.fixture(scope="session")
def template() -> Template:
    return Template(
        prefix="<|im_start|>user\nWrite news searches.\n",
        signal="{n}. {domain}: {text}\n",
        cue="Searches:\n<|im_end|>\n<|im_start|>assistant\n",
        domains={
            "search": "searched",
            "browse": "read",
            "purchase": "bought",
            "video": "watched",
            "news": "news",
        },
        markers=("Searches:",),
    )
