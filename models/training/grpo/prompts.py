"""The prompts of a training by rewards, as they are served, and what answers to them say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.people.views import Seen
from service.records import Signal
from service.signals.prompt import Template, Tokenizer, render


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt."""

    seen: Seen
    tokens: tuple[int, ...]
    shown: tuple[Signal, ...]

    @property
    def kind(self) -> str:
        """What is learnt from the same: views of one person, people of the same first interest."""
        name, _, _ = self.seen.id.partition("~")
        return self.seen.interests[0].query if name == "threads" else name


def ask(
    views: Iterable[Seen], template: Template, tokenizer: Tokenizer, budget: int
) -> list[Asked]:
    """The prompts of people. Those whose prompt shows none of their interests are left out."""
    found = []
    for seen in views:
        prompt = render(seen.signals, template, tokenizer, budget)
        source_of = dict(zip((signal.id for signal in seen.signals), seen.sources, strict=True))
        if any(source_of[signal.id] is not None for signal in prompt.shown):
            found.append(Asked(seen, prompt.token_ids, prompt.shown))
    return found


def text_of(answer: Sequence[int], tokenizer: Tokenizer) -> tuple[str, bool]:
    """An answer's text, and whether it ended by itself."""
    ends = [place for place, token in enumerate(answer) if token in tokenizer.control_ids]
    return tokenizer.decode(tuple(answer[: ends[0]] if ends else answer)), bool(ends)
