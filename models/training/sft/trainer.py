"""TRL's trainer with a loss of answers and of verdicts, and what looks at its lists meanwhile.

Needs the training environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, stack
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import TrainerCallback
from trl import SFTTrainer

from models.progress import Say
from models.training.params import WatchParams
from models.training.sft.config import VerdictParams
from models.training.sft.examples import INTEREST, NOISE
from models.training.watch import Watch, Watched, look
from service.signals.prompt import Tokenizer

_SHOWN = 3
"""Lists that are said at each look."""


class AnswerTrainer(SFTTrainer):  # type: ignore[misc]
    """The same loss as TRL's "nll", nats a token of the answers, a third quicker on a CPU.

    Where there is no Triton, TRL 1.16 scores every position of every prompt too, and once more in
    the backward pass. An answer stands at the end, so the last columns are all that is needed.

    With `verdict` a second loss is added: what a middle layer knows of a signal where its line
    ends, read through the model's own last norm and two of its words (an early exit, as in deep
    supervision: Lee et al., AISTATS 2015), has to say whether an interest made that signal. An
    answer says it too, but has to find the signal first.
    """

    def __init__(
        self, *args: Any, verdict: VerdictParams | None, words: tuple[int, int], **named: Any
    ) -> None:
        """`words` are the tokens of "no" and "yes", whose difference in score is the verdict's."""
        super().__init__(*args, **named)
        self._verdict, self._words = verdict, words
        self._parts: list[tuple[Tensor, Tensor]] = []

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The mean over the batch's tokens of answers, and that over its signals, weighted."""
        labels = inputs["labels"]
        answered = (labels >= 0).any(dim=0).nonzero()
        columns = labels.shape[1] - int(answered[0])
        outputs = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            logits_to_keep=columns + 1,
            output_hidden_states=self._verdict is not None,
            use_cache=False,
        )
        wanted = labels[:, -columns:].flatten()
        logits = outputs.logits[:, :-1].flatten(0, 1).float()
        known = wanted >= 0
        loss = cross_entropy(logits[known], wanted[known])
        if self._verdict is not None:
            judged = self._judged(model, outputs, labels, self._verdict.layer)
            self._parts.append((loss.detach(), judged.detach()))
            loss = loss + self._verdict.weight * judged
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], *args: Any, **named: Any) -> None:
        """Say both parts of the loss, means since the last time."""
        if self._parts:
            answers, verdicts = zip(*self._parts, strict=True)
            logs["answers"] = round(stack(answers).mean().item(), 4)
            logs["verdicts"] = round(stack(verdicts).mean().item(), 4)
            self._parts.clear()
        super().log(logs, *args, **named)

    def _judged(self, model: Any, outputs: Any, labels: Any, layer: int) -> Any:
        places = (labels == NOISE) | (labels == INTEREST)
        hidden = outputs.hidden_states[layer][places]
        plain = model.get_base_model()
        no, yes = (plain.lm_head.weight[word] for word in self._words)
        scores = (plain.model.norm(hidden).float() * (yes - no).float()).sum(dim=-1)
        return binary_cross_entropy_with_logits(scores, (labels[places] == INTEREST).float())


class ListWatcher(TrainerCallback):  # type: ignore[misc]
    """Has the model write lists for users it is not trained on, and stops it when it collapses."""

    def __init__(
        self,
        watched: Sequence[Watched],
        tokenizer: Tokenizer,
        params: WatchParams,
        watch: Watch,
        say: Say,
        path: Path,
    ) -> None:
        """What is seen goes into `watch`, which is kept in the file `path`."""
        self._watched, self._tokenizer, self._params = watched, tokenizer, params
        self._watch, self._say, self._path = watch, say, path

    def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """Look after every so many steps."""
        step = state.global_step
        if step % self._params.steps:
            return
        seen, lists = look(named["model"], self._watched, self._tokenizer, step)
        self._watch.looks.append(seen)
        self._watch.save(self._path)
        self._say(f"{seen}")
        for text in lists[:_SHOWN]:
            self._say(f"    {' | '.join(text.splitlines())}")
        if self._watch.collapsed(self._params.distinct_least, self._params.patience):
            control.should_training_stop = True
