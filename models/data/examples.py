"""From simulated users to training examples: the prompt as it is served, and the list to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from models.data.encoder import Encoder
from models.data.labels import LabelForm, label
from models.data.simulator import SimulatedUser
from models.data.world import World
from service.records import Prompt, Signal
from service.signals.prompt import Template, Tokenizer, render


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of the prompt and of the answer (its end token included), and who it is about."""

    user: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    shown: tuple[Signal, ...]
    interests: int


def make_examples(
    world: World,
    users: Iterable[SimulatedUser],
    encoder: Encoder,
    form: LabelForm,
    template: Template,
    tokenizer: Tokenizer,
    *,
    budget: int,
    end: str,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Example]:
    """An example for every user whom `label` gives a list.

    `end` is the control token that ends an answer. The signals are encoded once for all users.
    """
    rendered: list[tuple[SimulatedUser, Prompt]] = [
        (user, render(user.signals, template, tokenizer, budget)) for user in users
    ]
    texts = sorted({signal.text for _, prompt in rendered for signal in prompt.shown})
    vectors = encoder.encode(texts, progress)
    place = {text: i for i, text in enumerate(texts)}
    examples = []
    for user, prompt in rendered:
        rows = vectors[[place[signal.text] for signal in prompt.shown]]
        lines = label(world, user, prompt.shown, rows, form)
        if lines:
            # A space before each line: its first word then has the token that it has in the prompt,
            # and copying needs no other spelling of it.
            answer = tokenizer.trusted("\n".join(f" {line}" for line in lines) + end)
            examples.append(
                Example(user.id, prompt.token_ids, answer, prompt.shown, len(set(user.interests)))
            )
    return examples
