"""What a trainer asks of the rewards: those of a batch of answers, each answer searched once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from models.rewards.outcomes import Outcomes
from models.rewards.records import Target
from models.rewards.scoring import Scores, scores_of
from models.rewards.suspects import Scored
from models.rewards.targets import taught_target
from models.rewards.terms import Reward
from models.training.grpo.prompts import Asked, text_of
from service.signals.prompt import Tokenizer

_REMEMBERED = 2_000
"""Lists of the last steps, for the page of those worth reading."""


class Rewarding:
    """The rewards of answers to prompts."""

    def __init__(
        self,
        prompts: Sequence[Asked],
        outcomes: Outcomes,
        rewards: Sequence[Reward],
        tokenizer: Tokenizer,
    ) -> None:
        self.prompts = prompts
        self.rewards = tuple(rewards)
        self.lately: deque[Scored] = deque(maxlen=_REMEMBERED)
        self._outcomes = outcomes
        self._tokenizer = tokenizer
        self._targets: dict[int, Target] = {}
        self._batch: tuple[tuple[int, tuple[int, ...]], ...] = ()
        self._scores: list[Scores] = []

    def functions(self) -> list[Callable[..., list[float | None]]]:
        """One function a reward, as TRL calls them; its name is the reward's."""
        return [self._function(reward.name) for reward in self.rewards]

    def scores(self, numbers: Sequence[int], answers: Sequence[Sequence[int]]) -> list[Scores]:
        """The rewards of answers (token ids) to the prompts of these numbers.

        TRL asks for one reward after another: those of the same batch are kept.
        """
        batch = tuple(zip(numbers, map(tuple, answers), strict=True))
        if batch != self._batch:
            self._scores = [self._scored(number, answer) for number, answer in batch]
            self._batch = batch
        return self._scores

    def _scored(self, number: int, answer: Sequence[int]) -> Scores:
        asked = self.prompts[number]
        text, finished = text_of(answer, self._tokenizer)
        if (target := self._targets.get(number)) is None:
            # When it is first asked: what own signals find takes a dozen searches a person.
            target = self._targets[number] = taught_target(asked.seen, self._outcomes)
        outcome = self._outcomes.of(target, asked.shown, text, finished=finished)
        scores = scores_of(target, outcome, self.rewards)
        self.lately.append(Scored(asked.seen.id, text, scores))
        return scores

    def _function(self, name: str) -> Callable[..., list[float | None]]:
        def reward(
            prompts: Sequence[str], completion_ids: Sequence[Sequence[int]], **_: object
        ) -> list[float | None]:
            found = self.scores([int(prompt) for prompt in prompts], completion_ids)
            return [scores[name] for scores in found]

        reward.__name__ = name
        return reward
