"""Training by rewards: `interests train grpo`.

Lists are sampled for people who are seen in many ways, searched and merged by the serving code, and
rewarded in several ways at once (`models.rewards`). What is learnt is which of the lists of one
prompt did better than its others. Every some steps lists are written for tune people and rewarded
by what judges said: a reward that rises in training alone is failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.packaging.adapter_file import read_delta
from models.packaging.base import build_base
from models.people.records import Person, Thread
from models.people.views import thread_views, views
from models.progress import Say
from models.rewards.outcomes import Outcomes
from models.rewards.records import Target
from models.rewards.scoring import chosen_rewards, scores_of, together
from models.training.adapter import export, put_on, quick_dtype, take_over
from models.training.generate import write_lists
from models.training.grpo.config import GrpoConfig
from models.training.grpo.curriculum import Curriculum
from models.training.grpo.progress import Progress, Rewarded
from models.training.grpo.prompts import Asked, ask
from models.training.grpo.rewarding import Rewarding
from models.training.grpo.suspects_page import write_suspects
from models.training.run import Run
from models.training.run_folder import note_run, step_of
from models.training.watch import Watched, look_at
from service.errors import ConfigurationError
from service.records import Article
from service.signals.prompt import Template, Tokenizer, load_template, render

PROGRESS = "progress.json"
SUSPECTS = "suspects.md"


@dataclass(frozen=True, slots=True)
class World:
    """Who is written for, and what is searched."""

    people: Sequence[Person]
    threads: Sequence[Thread]
    watched: Sequence[Target]
    """Tune people, with what judges said."""
    articles: Mapping[str, Article]
    """By id."""
    outcomes: Outcomes


def train_by_rewards(run: Run[GrpoConfig], world: World, say: Say) -> Progress:
    """Train, and leave adapter, progress, suspects and checkpoints in `run.out`.

    Raises `ConfigurationError`: nobody is written for, the adapter that is trained on is of another
    shape, a reward is no number, or the student collapsed.
    """
    from transformers import set_seed

    config = run.config
    note_run(run.out, run.parts)
    build_base(run.packaged, run.student / "vocabulary.json", run.base, lambda what, share: None)
    template = load_template(run.student / "template.yaml")
    tokenizer = Tokenizer.load(run.base / "tokenizer.json")
    prompts = _prompts(config, world, template, tokenizer)
    if not prompts:
        raise ConfigurationError("nobody is written for: give more people.views, or threads")
    say(f"{len(prompts):,} prompts, {config.group.lists} lists each time")
    set_seed(config.seed)
    progress = _progress_so_far(run)
    rewarding = Rewarding(prompts, world.outcomes, chosen_rewards(config.rewards), tokenizer)
    looker = _Looker(run, world, template, tokenizer, rewarding, progress, say)
    trainer = _trainer(run, rewarding, tokenizer, looker, say)
    trainer.train(resume_from_checkpoint=str(run.last) if run.last else None)
    looker.keep(trainer.state.log_history)
    if progress.collapsed(config.watch.distinct_least, config.watch.patience):
        raise ConfigurationError(
            f"{run.out}: stopped at step {trainer.state.global_step}: nearly the same list for "
            "everybody; lower train.learning_rate or raise train.kl, and start again"
        )
    export(trainer.model, run.adapter, config.lora.alpha)
    return progress


def _prompts(
    config: GrpoConfig, world: World, template: Template, tokenizer: Tokenizer
) -> list[Asked]:
    noise = [trace for one in world.people for trace in one.traces if trace.interest is None]
    seen = [
        *views(world.people, world.articles, config.people.views, config.seed),
        *thread_views(world.threads, noise, config.people.threads, config.seed),
    ]
    return ask(seen, template, tokenizer, config.budget)


def _progress_so_far(run: Run[GrpoConfig]) -> Progress:
    """What was seen up to the checkpoint that the run goes on from."""
    if run.last is None:
        return Progress()
    progress = Progress.load(run.out / PROGRESS)
    progress.forget_after(step_of(run.last))
    return progress


def _trainer(
    run: Run[GrpoConfig], rewarding: Rewarding, tokenizer: Tokenizer, looker: _Looker, say: Say
) -> Any:
    from datasets import Dataset
    from transformers import AutoTokenizer

    from models.training.grpo.looking import TuneLooks
    from models.training.grpo.trainer import GroupTrainer, take_up

    curriculum = Curriculum([asked.kind for asked in rewarding.prompts], run.config.seed)
    if run.last is not None:
        take_up(curriculum, run.last)
    return GroupTrainer(
        model=_model(run, say),
        args=_arguments(run),
        train_dataset=Dataset.from_list(
            [{"prompt": str(number)} for number in range(len(rewarding.prompts))]
        ),
        processing_class=AutoTokenizer.from_pretrained(run.base),
        callbacks=[TuneLooks(looker, run.config.watch.steps)],
        rewarding=rewarding,
        curriculum=curriculum,
        ends=set(tokenizer.control_ids),
    )


def _model(run: Run[GrpoConfig], say: Say) -> Any:
    """The base with the adapter that is trained on, on the device that trains it."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = quick_dtype()
    say(f"weights in {str(dtype).removeprefix('torch.')} on {device}")
    model = put_on(run.base, run.config.lora, dtype).to(device)
    assert run.begins_with is not None  # the configuration asks for it
    take_over(model, read_delta(run.begins_with), run.config.lora.alpha)
    return model


def _arguments(run: Run[GrpoConfig]) -> Any:
    """How TRL trains, and what it keeps."""
    import torch
    from trl import GRPOConfig as TrlConfig

    group, train = run.config.group, run.config.train
    return TrlConfig(
        output_dir=str(run.out),
        num_generations=group.lists,
        per_device_train_batch_size=group.lists * train.together,
        gradient_accumulation_steps=group.prompts // train.together,
        max_completion_length=group.most_tokens,
        temperature=group.temperature,
        beta=train.kl,
        epsilon=train.clip,
        multi_objective_aggregation="normalize_then_sum",
        reward_weights=list(run.config.rewards.values()),
        max_steps=train.steps,
        learning_rate=train.learning_rate,
        warmup_steps=round(train.warmup_share * train.steps),
        lr_scheduler_type="constant_with_warmup",
        logging_steps=1,
        save_steps=train.checkpoint_steps,
        save_total_limit=2,
        ignore_data_skip=True,
        bf16=quick_dtype() == torch.bfloat16,
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        report_to=[],
        seed=run.config.seed,
        shuffle_dataset=False,
    )


class _Looker:
    """Writes lists for tune people, rewards them, and keeps what was seen."""

    def __init__(
        self,
        run: Run[GrpoConfig],
        world: World,
        template: Template,
        tokenizer: Tokenizer,
        rewarding: Rewarding,
        progress: Progress,
        say: Say,
    ) -> None:
        self._run, self._world, self._tokenizer = run, world, tokenizer
        self._rewarding, self._progress, self._say = rewarding, progress, say
        self._targets = list(world.watched[: run.config.watch.users])
        budget = run.config.budget
        prompts = [render(one.user.signals, template, tokenizer, budget) for one in self._targets]
        self._watched = [Watched(prompt.token_ids, prompt.shown) for prompt in prompts]

    @property
    def collapsed(self) -> bool:
        """Whether the run is to stop."""
        watch = self._run.config.watch
        return self._progress.collapsed(watch.distinct_least, watch.patience)

    def look(self, model: Any, step: int) -> None:
        """Look once, and say what was seen."""
        prompts = [user.prompt for user in self._watched]
        most = self._run.config.group.most_tokens
        written = write_lists(model, prompts, self._tokenizer, most)
        rewards = self._rewarding.rewards
        found = []
        for target, watched, (text, finished) in zip(
            self._targets, self._watched, written, strict=True
        ):
            outcome = self._world.outcomes.of(target, watched.shown, text, finished=finished)
            found.append(scores_of(target, outcome, rewards))
        means = {}
        for reward in rewards:
            told = [value for one in found if (value := one[reward.name]) is not None]
            if told:
                means[reward.name] = sum(told) / len(told)
        total = sum(together(one, rewards) for one in found) / len(found)
        seen = Rewarded(step, total, means, look_at(written, self._watched, step))
        self._progress.looks.append(seen)
        self._say(str(seen))

    def keep(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write down what was seen so far, and the lists worth reading."""
        self._progress.note_steps(history)
        self._progress.save(self._run.out / PROGRESS)
        write_suspects(
            self._run.out / SUSPECTS, list(self._rewarding.lately), self._rewarding.rewards
        )
