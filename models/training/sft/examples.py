"""From simulated users to training examples: the prompt as it is served, and the list to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from models.progress import Progress, untold
from models.simulation.encoder import Encoder
from models.simulation.users import SimulatedUser
from models.simulation.world import World
from models.training.sft.reference_labels import ReferenceForm, reference_label
from models.training.sft.word_labels import LabelForm, label
from service.records import Prompt, Signal
from service.signals.prompt import Template, Tokenizer, render

UNTAUGHT, NOISE, INTEREST = -100, -101, -102
"""Labels that are no token: torch's own for nothing, and two that stand where a line of the prompt
ends, for a signal from nowhere and for one of an interest."""


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of the prompt and of the answer (its end token included), and who it is about."""

    user: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    shown: tuple[Signal, ...]
    interests: int
    verdicts: tuple[tuple[int, bool], ...]
    """Where in `prompt` each shown signal's line ends (its last token), and whether an interest
    made that signal."""

    @property
    def labels(self) -> list[int]:
        """What is taught at each token of prompt and answer."""
        labels = [UNTAUGHT] * len(self.prompt) + list(self.answer)
        for place, interest in self.verdicts:
            labels[place] = INTEREST if interest else NOISE
        return labels


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
    progress: Progress = untold,
) -> list[Example]:
    """An example for every user whom the form of label gives a list.

    `end` is the control token that ends an answer. Where the form asks what signals mean, they are
    encoded once for all users, and `progress` is called with the number just done.
    """
    rendered: list[tuple[SimulatedUser, Prompt]] = [
        (user, render(user.signals, template, tokenizer, budget)) for user in users
    ]
    lists: Iterator[list[str]]
    if isinstance(form, ReferenceForm) and form.near is None:
        lists = (reference_label(user, prompt.shown, form) for user, prompt in rendered)
    else:
        lists = _by_meaning(world, rendered, encoder, form, progress)
    examples = []
    for (user, prompt), lines in zip(rendered, lists, strict=True):
        if lines:
            # A space before each line: its first word then has the token that it has in the prompt,
            # and copying needs no other spelling of it.
            answer = tokenizer.trusted("\n".join(f" {line}" for line in lines) + end)
            source_of = dict(zip((one.id for one in user.signals), user.sources, strict=True))
            made = (source_of[one.id] is not None for one in prompt.shown)
            ends = line_ends(prompt, template, tokenizer)
            examples.append(
                Example(
                    user.id,
                    prompt.token_ids,
                    answer,
                    prompt.shown,
                    len(set(user.interests)),
                    tuple(zip(ends, made, strict=True)),
                )
            )
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


def _by_meaning(
    world: World,
    rendered: Sequence[tuple[SimulatedUser, Prompt]],
    encoder: Encoder,
    form: LabelForm | ReferenceForm,
    progress: Callable[[int], None],
) -> Iterator[list[str]]:
    texts = sorted({signal.text for _, prompt in rendered for signal in prompt.shown})
    vectors = encoder.encode(texts, progress)
    place = {text: i for i, text in enumerate(texts)}
    for user, prompt in rendered:
        rows = vectors[[place[signal.text] for signal in prompt.shown]]
        if isinstance(form, ReferenceForm):
            yield reference_label(user, prompt.shown, form, rows)
        else:
            yield label(world, user, prompt.shown, rows, form)
