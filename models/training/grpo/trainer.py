"""TRL's trainer of groups, with prompts that are read once and chosen by what they still teach.

Needs the training environment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from torch.utils.data import Sampler
from trl import GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from models.training.grpo.curriculum import Curriculum
from models.training.grpo.rewarding import Rewarding
from models.training.grpo.shared_prompts import answer_logps
from models.training.rollouts import sample_lists
from service.errors import ConfigurationError

_CURRICULUM = "curriculum.json"


class GroupTrainer(GRPOTrainer):  # type: ignore[misc]
    """What departs from TRL 1.16's own: see the methods.

    A prompt of its data is the number of a prompt of `rewarding`, as text.
    """

    def __init__(
        self, *args: Any, rewarding: Rewarding, curriculum: Curriculum, ends: set[int], **named: Any
    ) -> None:
        """`ends` are the tokens that end an answer."""
        self._rewarding, self._curriculum, self._ends = rewarding, curriculum, ends
        self._buffered_inputs: Any = None
        super().__init__(*args, reward_funcs=rewarding.functions(), rollout_func=_rollout, **named)

    def rolled_out(self, numbers: list[int]) -> dict[str, Any]:
        """Answers to these prompts, which stand group by group."""
        each = self.num_generations
        asked = [self._rewarding.prompts[number].tokens for number in numbers]
        answers = sample_lists(
            self.accelerator.unwrap_model(self.model),
            asked[::each],
            each,
            most=self.max_completion_length,
            temperature=self.temperature,
            ends=self._ends,
        )
        return {
            "prompt_ids": [list(one) for one in asked],
            "completion_ids": [list(one) for one in answers],
            "logprobs": None,
        }

    def _get_train_sampler(self, dataset: Any = None) -> Sampler[int]:
        """Prompts that the curriculum draws, each as often as it has lists."""
        arguments = self.args
        return _Drawn(
            self._curriculum,
            prompts=arguments.generation_batch_size // self.num_generations,
            each=self.num_generations,
            turns=self.num_iterations * arguments.steps_per_generation,
            steps=arguments.max_steps,
        )

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """As TRL's, without mixing the lists of a step: groups stay together, and share prompts."""
        if not self.model.training:
            return super()._prepare_inputs(generation_batch)
        turns = self.args.steps_per_generation
        if self._step % (turns * self.num_iterations) == 0 or self._buffered_inputs is None:
            whole = self._generate_and_score_completions(generation_batch)
            self._buffered_inputs = split_tensor_dict(whole, turns)
        return self._buffered_inputs[self._step % turns]

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> Tensor:
        """As TRL's; the curriculum is told how far each group's rewards are apart."""
        found: Tensor = super()._calculate_rewards(
            inputs, prompts, completions, completion_ids_list
        )
        numbers = gather_object([int(prompt) for prompt in prompts])
        weights = self.reward_weights.to(found.device)
        totals = (found * weights).nansum(dim=1) / weights.sum()
        each = self.num_generations
        for place in range(0, len(numbers), each):
            self._curriculum.learn(numbers[place], float(totals[place : place + each].std()))
        return found

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **_: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """As TRL's, for text alone, with each prompt of a batch read once."""
        size = batch_size or len(input_ids)
        parts = [
            answer_logps(
                model,
                input_ids[start : start + size],
                attention_mask[start : start + size],
                logits_to_keep,
                self.temperature,
            )
            for start in range(0, len(input_ids), size)
        ]
        logps, entropies = (torch.cat(some) for some in zip(*parts, strict=True))
        return logps, entropies if compute_entropy else None, None

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # The curriculum goes first: a checkpoint counts as whole by what is written last.
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _CURRICULUM).write_text(json.dumps(self._curriculum.state()))
        super()._save_checkpoint(model, trial)


def take_up(curriculum: Curriculum, checkpoint: Path) -> None:
    """Go on with what was known at a checkpoint. Raises `ConfigurationError` where it is broken."""
    path = checkpoint / _CURRICULUM
    try:
        curriculum.restore(json.loads(path.read_bytes()))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigurationError(
            f"{path}: cannot be gone on with ({error}); take the checkpoint away, or start anew "
            "with another --out"
        ) from error


def _rollout(prompts: list[str], trainer: GroupTrainer) -> dict[str, Any]:
    return trainer.rolled_out([int(prompt) for prompt in prompts])


class _Drawn(Sampler[int]):  # type: ignore[misc]
    """The rows of each step's prompts, drawn when the step is near: the loader reads one ahead."""

    def __init__(
        self, curriculum: Curriculum, *, prompts: int, each: int, turns: int, steps: int
    ) -> None:
        self._curriculum = curriculum
        self._prompts, self._each, self._turns, self._steps = prompts, each, turns, steps

    def __iter__(self) -> Iterator[int]:
        for _ in range(self._steps):
            drawn = self._curriculum.draw(self._prompts)
            for _ in range(self._turns):
                for number in drawn:
                    yield from [number] * self._each

    def __len__(self) -> int:
        return self._steps * self._turns * self._prompts * self._each
