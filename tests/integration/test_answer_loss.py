"""The trainer's own loss is TRL's, to the last digit that is logged; verdicts come on top."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.parts.train import ROOT, train_python

ONE_STEP_EACH = """
import json, sys
from functools import partial
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer
from models.training.sft.trainer import AnswerTrainer
from models.training.sft.examples import INTEREST, NOISE
from models.training.sft.config import VerdictParams

rows = []
for length, answer in ((20, 5), (24, 3), (17, 8), (24, 9)):
    ids = list(range(5, 5 + length))
    rows.append({"input_ids": ids, "labels": [-100] * (length - answer) + ids[-answer:]})
judged = [{**row, "labels": [-100, NOISE, -100, INTEREST, *row["labels"][4:]]} for row in rows]
NO, YES = 40, 50


def by_hand(model):
    scores, wanted = [], []
    for row in judged:
        hidden = model(torch.tensor([row["input_ids"]]), output_hidden_states=True).hidden_states[1]
        logits = model.lm_head(model.model.norm(hidden))[0]
        scores += [logits[at, YES] - logits[at, NO] for at in (1, 3)]
        wanted += [0.0, 1.0]
    stacked = torch.stack(scores)
    return torch.nn.functional.binary_cross_entropy_with_logits(stacked, torch.tensor(wanted))

words = Tokenizer(models.WordLevel({"<pad>": 0, "<end>": 1}, unk_token="<pad>"))
seen = []
for trainer_class, examples in (
    (SFTTrainer, rows),
    (partial(AnswerTrainer, verdict=None, words=(NO, YES)), rows),
    (partial(AnswerTrainer, verdict=VerdictParams(layer=1, weight=0.5), words=(NO, YES)), judged),
):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64,
    ))
    model = get_peft_model(model, LoraConfig(
        target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False
    ))
    with torch.no_grad():
        verdicts = by_hand(model.get_base_model()).item()
    trainer = trainer_class(
        model=model,
        args=SFTConfig(
            output_dir=sys.argv[1], per_device_train_batch_size=4, max_steps=1, use_cpu=True,
            bf16=False, max_length=None, report_to=[], logging_steps=1,
            gradient_checkpointing=False, train_sampling_strategy="sequential",
        ),
        train_dataset=Dataset.from_list(examples),
        processing_class=PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", eos_token="<end>"
        ),
    )
    trainer.train()
    row = next(row for row in trainer.state.log_history if "loss" in row)
    seen.append({**row, "by_hand": verdicts})
print(json.dumps(seen))
"""


@pytest.mark.timeout(300)
def test_loss_of_a_padded_batch_is_that_of_trl_and_verdicts_come_on_top(tmp_path: Path) -> None:
    done = subprocess.run(
        [train_python(), "-c", ONE_STEP_EACH, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    theirs, ours, judged = json.loads(done.stdout.strip().splitlines()[-1])
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-5)
    assert theirs["loss"] > 1
    assert judged["answers"] == pytest.approx(theirs["loss"], rel=1e-3)
    assert judged["verdicts"] == pytest.approx(judged["by_hand"], rel=1e-3)
    assert judged["loss"] == pytest.approx(theirs["loss"] + judged["by_hand"] / 2, rel=1e-3)
    assert judged["grad_norm"] != pytest.approx(theirs["grad_norm"], rel=1e-3)
