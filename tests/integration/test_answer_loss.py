"""The trainer's own loss is TRL's, to the last digit that is logged."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.parts.train import ROOT, train_python

ONE_STEP_EACH = """
import json, sys
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer
from models.answer_trainer import AnswerTrainer

rows = []
for length, answer in ((20, 5), (24, 3), (17, 8), (24, 9)):
    ids = list(range(5, 5 + length))
    rows.append({"input_ids": ids, "labels": [-100] * (length - answer) + ids[-answer:]})
words = Tokenizer(models.WordLevel({"<pad>": 0, "<end>": 1}, unk_token="<pad>"))
seen = []
for trainer_class in (SFTTrainer, AnswerTrainer):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64,
    ))
    model = get_peft_model(model, LoraConfig(
        target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False
    ))
    trainer = trainer_class(
        model=model,
        args=SFTConfig(
            output_dir=sys.argv[1], per_device_train_batch_size=4, max_steps=1, use_cpu=True,
            bf16=False, max_length=None, report_to=[], logging_steps=1,
            gradient_checkpointing=False, train_sampling_strategy="sequential",
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", eos_token="<end>"
        ),
    )
    trainer.train()
    row = next(row for row in trainer.state.log_history if "loss" in row)
    seen.append([row["loss"], row["grad_norm"]])
print(json.dumps(seen))
"""


@pytest.mark.timeout(300)
def test_loss_and_gradient_of_a_padded_batch_are_those_of_trl(tmp_path: Path) -> None:
    done = subprocess.run(
        [train_python(), "-c", ONE_STEP_EACH, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    theirs, ours = json.loads(done.stdout.strip().splitlines()[-1])
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert theirs[0] > 1
