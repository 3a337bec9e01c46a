"""From simulated users to training examples: the prompt as it is served, and the list to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from models.data.encoder import Encoder
from models.data.labels import LabelForm, label
from models.data.reference_labels import ReferenceForm, reference_label
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
    form: LabelForm | ReferenceForm,
    template: Template,
    tokenizer: Tokenizer,
    *,
    budget: int,
    end: str,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Example]:
    """An example for every user whom the form of label gives a list.

    `end` is the control token that ends an answer. Where the form asks what signals mean, they are
    encoded once for all users, and `progress` is called with the number just done.
    """
    rendered: list[tuple[SimulatedUser, Prompt]] = [
        (user, render(user.signals, template, tokenizer, budget)) for user in users
    ]
    lists: Iterator[list[str]]
    if isinstance(form, ReferenceForm):
        lists = (reference_label(user, prompt.shown, form) for user, prompt in rendered)
    else:
        lists = _by_meaning(world, rendered, encoder, form, progress)
    examples = []
    for (user, prompt), lines in zip(rendered, lists, strict=True):
        if lines:
            # A space before each line: its first word then has the token that it has in the prompt,
            # and copying needs no other spelling of it.
            answer = tokenizer.trusted("\n".join(f" {line}" for line in lines) + end)
            examples.append(
                Example(user.id, prompt.token_ids, answer, prompt.shown, len(set(user.interests)))
            )
    return examples


def _by_meaning(
    world: World,
    rendered: Sequence[tuple[SimulatedUser, Prompt]],
    encoder: Encoder,
    form: LabelForm,
    progress: Callable[[int], None],
) -> Iterator[list[str]]:
    texts = sorted({signal.text for _, prompt in rendered for signal in prompt.shown})
    vectors = encoder.encode(texts, progress)
    place = {text: i for i, text in enumerate(texts)}
    for user, prompt in rendered:
        rows = vectors[[place[signal.text] for signal in prompt.shown]]
        yield label(world, user, prompt.shown, rows, form)
