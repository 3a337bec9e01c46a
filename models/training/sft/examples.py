"""From users to training examples: the prompt as it is served, and the list to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from service.records import Prompt, Signal
from service.signals.prompt import Template, Tokenizer, render

UNTAUGHT, NOISE, INTEREST = -100, -101, -102
"""Labels that are no token: torch's own for nothing, and two that stand where a line of the prompt
ends, for a signal from nowhere and for one of an interest."""


class Sourced(Protocol):
    """A user of whose signals it is known what they stem from."""

    @property
    def id(self) -> str:
        """Who they are."""
        ...

    @property
    def signals(self) -> Sequence[Signal]:
        """Oldest first."""
        ...

    @property
    def sources(self) -> Sequence[int | None]:
        """The interest behind each signal; None: noise."""
        ...


User = TypeVar("User", bound=Sourced)


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of the prompt and of the answer (its end token included), and who it is about."""

    user: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    shown: tuple[Signal, ...]
    verdicts: tuple[tuple[int, bool], ...]
    """Where in `prompt` each shown signal's line ends (its last token), and whether an interest
    made that signal."""

    @property
    def tokens(self) -> list[int]:
        """Prompt and answer, as a model reads them."""
        return [*self.prompt, *self.answer]

    @property
    def labels(self) -> list[int]:
        """What is taught at each token of prompt and answer."""
        labels = [UNTAUGHT] * len(self.prompt) + list(self.answer)
        for place, interest in self.verdicts:
            labels[place] = INTEREST if interest else NOISE
        return labels


def make_examples(
    users: Iterable[User],
    label: Callable[[User, Sequence[Signal]], Sequence[str]],
    template: Template,
    tokenizer: Tokenizer,
    *,
    budget: int,
    end: str,
) -> list[Example]:
    """An example for every user whom `label` gives lines to write, of the signals that are shown.

    `budget` is how many tokens a prompt has at the most, `end` the control token that ends an
    answer.
    """
    examples = []
    for user in users:
        prompt = render(user.signals, template, tokenizer, budget)
        if lines := label(user, prompt.shown):
            # A space before each line: its first word then has the token that it has in the prompt,
            # and copying needs no other spelling of it.
            answer = tokenizer.trusted("\n".join(f" {line}" for line in lines) + end)
            source_of = dict(zip((signal.id for signal in user.signals), user.sources, strict=True))
            made = (source_of[signal.id] is not None for signal in prompt.shown)
            verdicts = tuple(zip(line_ends(prompt, template, tokenizer), made, strict=True))
            examples.append(Example(user.id, prompt.token_ids, answer, prompt.shown, verdicts))
    return examples


def line_ends(prompt: Prompt, template: Template, tokenizer: Tokenizer) -> list[int]:
    """Where the line of each shown signal ends, as positions of its last token in the prompt.

    No signal's text holds a line break, so the next place that spells the end of line `n` is it.
    """
    ids = prompt.token_ids
    ends: list[int] = []
    at = len(tokenizer.trusted(template.prefix))
    for number in range(1, len(prompt.shown) + 1):
        end = tokenizer.trusted(template.end(number))
        while ids[at : at + len(end)] != end:
            at += 1
        at += len(end)
        ends.append(at - 1)
    return ends
