"""Supervised training of a student: `interests train sft`.

What departs from TRL's own main: examples come token by token from the serving code (template,
tokenizer, budget), so a student is trained on exactly the ids it is served; and every some steps it
writes lists for users it is not trained on, because a falling loss with one list for everybody is
failure (docs/training-log.md).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from models.packaging.adapter_file import read_delta
from models.packaging.base import build_base
from models.progress import Say
from models.training.adapter import export, put_on, quick_dtype, take_over
from models.training.run import Run
from models.training.run_folder import note_run, step_of
from models.training.sft.config import SftConfig
from models.training.sft.examples import Example
from models.training.sft.lessons import Lessons, Teachers, make_lessons
from models.training.watch import Watch
from service.errors import ConfigurationError
from service.signals.prompt import Tokenizer, load_template

_WATCH = "watch.json"
_ALIKE = 8
"""Batches that are put together out of examples sorted by length."""


def train_student(run: Run[SftConfig], teachers: Teachers, say: Say) -> Watch:
    """Train, and leave `adapter.safetensors`, the watch's record and checkpoints in `run.out`.

    Raises `ConfigurationError`: the adapter that is trained on is of another shape, or the student
    collapsed.
    """
    note_run(run.out, run.parts)
    vocabulary = run.student / "vocabulary.json"
    build_base(run.packaged, vocabulary, run.base, lambda what, share: None)
    template = load_template(run.student / "template.yaml")
    tokenizer = Tokenizer.load(run.base / "tokenizer.json")
    say("making users and writing their lists …")
    lessons = make_lessons(run.config, teachers, template, tokenizer, say)
    return fit(run, lessons, tokenizer, say)


def fit(run: Run[SftConfig], lessons: Lessons, tokenizer: Tokenizer, say: Say) -> Watch:
    """What of `train_student` wants a GPU: its lessons are made, its base is built."""
    from transformers import set_seed

    set_seed(run.config.seed)
    watch = _watch_so_far(run)
    trainer = _trainer(run, lessons, tokenizer, watch, say)
    trainer.train(resume_from_checkpoint=str(run.last) if run.last else None)
    _end(run, trainer.state, watch)
    export(trainer.model, run.adapter, run.config.lora.alpha)
    return watch


def _watch_so_far(run: Run[SftConfig]) -> Watch:
    """What was seen up to the checkpoint that the run goes on from."""
    if run.last is None:
        return Watch()
    watch = Watch.load(run.out / _WATCH)
    watch.forget_after(step_of(run.last))
    return watch


def _trainer(
    run: Run[SftConfig], lessons: Lessons, tokenizer: Tokenizer, watch: Watch, say: Say
) -> Any:
    from transformers import AutoTokenizer

    from models.training.sft.trainer import AnswerTrainer, ListWatcher

    config = run.config
    say(f"{len(lessons.taught):,} examples, {sum(map(_length, lessons.taught)):,} tokens")
    watcher = ListWatcher(lessons.watched, tokenizer, config.watch, watch, say, run.out / _WATCH)
    return AnswerTrainer(
        model=_model(run, say),
        args=_arguments(run, _steps(config, len(lessons.taught))),
        train_dataset=_rows(lessons.taught, config),
        processing_class=AutoTokenizer.from_pretrained(run.base),
        callbacks=[watcher],
        verdict=config.verdict,
        words=(tokenizer.trusted(" no")[0], tokenizer.trusted(" yes")[0]),
    )


def _model(run: Run[SftConfig], say: Say) -> Any:
    """The base with the adapter that is trained, on the device that trains it."""
    import torch

    config = run.config
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = quick_dtype()
    say(f"weights in {str(dtype).removeprefix('torch.')} on {device}")
    model = put_on(run.base, config.lora, dtype).to(device)
    if config.verdict and config.verdict.layer >= (most := model.config.num_hidden_layers):
        raise ConfigurationError(
            f"verdict.layer is {config.verdict.layer}, but the base has {most}, the last of "
            "which are to use it: make it less"
        )
    if run.begins_with:
        take_over(model, read_delta(run.begins_with), config.lora.alpha)
    return model


def _rows(examples: Sequence[Example], config: SftConfig) -> Any:
    """The examples in the order in which they are trained on, as TRL reads them."""
    from datasets import Dataset

    ordered = in_batches(examples, config.train.batch, config.seed)
    return Dataset.from_list(
        [{"input_ids": example.tokens, "labels": example.labels} for example in ordered]
    )


def _steps(config: SftConfig, examples: int) -> int:
    """How many steps a training on so many examples takes."""
    steps = -(-examples // config.train.batch) * config.train.epochs
    return min(steps, config.train.most_steps or steps)


def _arguments(run: Run[SftConfig], steps: int) -> Any:
    """How TRL trains, and what it keeps."""
    import torch
    from trl import SFTConfig as TrlConfig

    config = run.config
    return TrlConfig(
        output_dir=str(run.out),
        per_device_train_batch_size=config.train.batch,
        learning_rate=config.train.learning_rate,
        max_steps=steps,
        warmup_steps=round(config.train.warmup_share * steps),
        lr_scheduler_type="cosine",
        logging_steps=5,
        save_steps=config.train.checkpoint_steps,
        save_total_limit=2,
        bf16=quick_dtype() == torch.bfloat16,
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        max_length=None,
        report_to=[],
        seed=config.seed,
        shuffle_dataset=False,
        train_sampling_strategy="sequential",
    )


def _end(run: Run[SftConfig], state: Any, watch: Watch) -> None:
    """Keep the losses, and refuse a student that has collapsed."""
    history: Iterable[Mapping[str, Any]] = state.log_history
    watch.losses = [(int(row["step"]), float(row["loss"])) for row in history if "loss" in row]
    watch.save(run.out / _WATCH)
    if watch.collapsed(run.config.watch.distinct_least, run.config.watch.patience):
        raise ConfigurationError(
            f"{run.out}: stopped at step {state.global_step}: nearly the same list for "
            "everybody; lower train.learning_rate or give more users, and start again"
        )


def in_batches(examples: Sequence[Example], batch: int, seed: int) -> list[Example]:
    """The examples in an order in which a batch holds like lengths, so that little is padding.

    Batches come in random order. (Transformers' own grouping goes from long to short again and
    again, and a student forgets long lists at the end of each such slope.)
    """
    random_ = random.Random(seed)
    shuffled = random_.sample(list(examples), len(examples))
    batches: list[list[Example]] = []
    for start in range(0, len(shuffled), _ALIKE * batch):
        alike = sorted(shuffled[start : start + _ALIKE * batch], key=_length)
        batches += [alike[i : i + batch] for i in range(0, len(alike), batch)]
    whole = [group for group in batches if len(group) == batch]
    rest = [group for group in batches if len(group) < batch]
    random_.shuffle(whole)
    return [example for group in (*whole, *rest) for example in group]


def _length(example: Example) -> int:
    return len(example.prompt) + len(example.answer)
