"""Is a student in training still reading its users? What is watched, and when it has collapsed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.data.examples import Example
from service.errors import GenerationInvalid
from service.generation.queries import parse
from service.generation.text import stems
from service.signals.prompt import Tokenizer

_MAX_NEW = 72


@dataclass(frozen=True, slots=True)
class Look:
    """Shares over the lists of users not trained on, at one step. All but `lines` are 0 to 1."""

    step: int
    distinct: float
    """Different lists among all lists."""
    valid: float
    """Lists that the service could use."""
    copied: float
    """Words of the lists that their users' signals hold."""
    repeated: float
    """Lines more than half of whose stems stood in an earlier line of the list."""
    lines: float
    """Lines of a list, on average."""

    def __str__(self) -> str:
        return (
            f"step {self.step}: distinct {self.distinct:.2f}, valid {self.valid:.2f}, "
            f"copied {self.copied:.2f}, repeated {self.repeated:.2f}, lines {self.lines:.1f}"
        )


@dataclass(slots=True)
class Watch:
    """All looks of a run and its losses (step, nats a token), kept as JSON."""

    looks: list[Look] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)

    def collapsed(self, distinct_least: float, patience: int) -> bool:
        """Whether the last `patience` looks saw too few distinct lists."""
        last = self.looks[-patience:]
        return len(last) == patience and all(one.distinct < distinct_least for one in last)

    def save(self, path: Path) -> None:
        """Write beside and rename."""
        aside = path.with_suffix(".part")
        record = {"looks": [asdict(one) for one in self.looks], "losses": self.losses}
        aside.write_text(json.dumps(record, indent=1), encoding="utf-8")
        aside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Watch:
        """What `save` wrote; an empty watch where there is no file."""
        if not path.is_file():
            return cls()
        record = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            [Look(**one) for one in record["looks"]],
            [(int(step), float(loss)) for step, loss in record["losses"]],
        )


def look(
    model: Any, watched: Sequence[Example], tokenizer: Tokenizer, step: int
) -> tuple[Look, list[str]]:
    """Have the model write a list for each watched user, greedily; measure them all."""
    import torch

    was_training = model.training
    model.eval()
    width = max(len(one.prompt) for one in watched)
    pad = model.config.pad_token_id or 0
    ids = torch.tensor([[pad] * (width - len(one.prompt)) + list(one.prompt) for one in watched])
    mask = torch.tensor(
        [[0] * (width - len(one.prompt)) + [1] * len(one.prompt) for one in watched]
    )
    with torch.no_grad():
        made = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=_MAX_NEW,
            do_sample=False,
        )
    texts = []
    for row in made[:, width:].tolist():
        ended = [i for i, token in enumerate(row) if token in tokenizer.control_ids]
        texts.append(tokenizer.decode(tuple(row[: ended[0]] if ended else row)))
    model.train(was_training)
    return measure(texts, watched, step), texts


def measure(texts: Sequence[str], watched: Sequence[Example], step: int) -> Look:
    """The look at these lists, one for each watched user."""
    valid = copied = words = repeated = lines = 0
    for text, one in zip(texts, watched, strict=True):
        try:
            queries = parse(text, one.shown, finished=True, max_queries=32)
        except GenerationInvalid:
            continue
        valid += 1
        said = frozenset[str]().union(*(stems(signal.text) for signal in one.shown))
        earlier: set[str] = set()
        for line in text.splitlines():
            if keys := stems(line):
                lines += 1
                repeated += 2 * len(keys & earlier) > len(keys)
                earlier |= keys
        for query in queries:
            keys = stems(query.text)
            words += len(keys)
            copied += len(keys & said)
    return Look(
        step=step,
        distinct=len({text.strip().casefold() for text in texts}) / len(texts),
        valid=valid / len(texts),
        copied=copied / max(words, 1),
        repeated=repeated / max(lines, 1),
        lines=lines / len(texts),
    )
