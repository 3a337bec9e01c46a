"""Is a student in training still reading its users? What is watched, and when it has collapsed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.training.generate import write_lists
from service.errors import ConfigurationError
from service.files import whole_file
from service.generation.queries import queries_in
from service.records import Signal
from service.signals.prompt import Tokenizer
from service.words.text import stems

MOST_TOKENS = 72
"""Of a watched list: more than labels have, so that one without an end is seen."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A user who is not trained on: what a prompt says, and the signals that it shows."""

    prompt: tuple[int, ...]
    shown: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """Shares over the lists of users not trained on, at one step. All but `lines` are 0 to 1.

    `valid` is what evaluation reports call so too; `own_words` counts words, where their `copied`
    counts queries.
    """

    step: int
    distinct: float
    """Different lists among all lists."""
    valid: float
    """Users with a list that the service could use, among the users watched: all have signals."""
    own_words: float
    """Words (stems) of the lists that their users' signals hold."""
    repeated: float
    """Lines more than half of whose stems stood in an earlier line of the list."""
    lines: float
    """Lines of a list, on average."""

    def __str__(self) -> str:
        return (
            f"step {self.step}: distinct {self.distinct:.2f}, valid {self.valid:.2f}, "
            f"own words {self.own_words:.2f}, repeated {self.repeated:.2f}, lines {self.lines:.1f}"
        )


@dataclass(slots=True)
class Watch:
    """All looks of a run and its losses (step, nats a token), kept as JSON."""

    looks: list[Look] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)

    def collapsed(self, distinct_least: float, patience: int) -> bool:
        """Whether the last `patience` looks saw too few distinct lists."""
        last = self.looks[-patience:]
        return len(last) == patience and all(seen.distinct < distinct_least for seen in last)

    def forget_after(self, step: int) -> None:
        """Drop the looks of later steps: a run that is resumed takes them again."""
        self.looks = [seen for seen in self.looks if seen.step <= step]

    def save(self, path: Path) -> None:
        """Write the file; it is complete or as it was."""
        record = {"looks": [asdict(seen) for seen in self.looks], "losses": self.losses}
        with whole_file(path) as file:
            file.write(json.dumps(record, indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> Watch:
        """What `save` wrote; an empty watch where there is no file.

        Raises `ConfigurationError` where the file is not what this version writes.
        """
        if not path.is_file():
            return cls()
        try:
            record = json.loads(path.read_bytes())
            return cls(
                [Look(**seen) for seen in record["looks"]],
                [(int(step), float(loss)) for step, loss in record["losses"]],
            )
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigurationError(
                f"{path}: is not what this version of the training writes; start anew with "
                "another --out"
            ) from error


def look(
    model: Any, watched: Sequence[Watched], tokenizer: Tokenizer, step: int
) -> tuple[Look, list[str]]:
    """Have the model write a list for each watched user; measure them all."""
    written = write_lists(model, [user.prompt for user in watched], tokenizer, MOST_TOKENS)
    texts = [text for text, _ in written]
    return look_at(written, watched, step), texts


def look_at(written: Sequence[tuple[str, bool]], watched: Sequence[Watched], step: int) -> Look:
    """The look at these lists (text, and whether it is whole), one for each watched user."""
    valid = own_words = words = repeated = lines = 0
    different: set[tuple[str, ...]] = set()
    for (text, finished), user in zip(written, watched, strict=True):
        queries = queries_in(text, user.shown, finished=finished, max_queries=32)
        if not queries:
            different.add((text.strip().casefold(),))
            continue
        valid += 1
        different.add(tuple(query.text.casefold() for query in queries))
        said = frozenset[str]().union(*(stems(signal.text) for signal in user.shown))
        earlier: set[str] = set()
        for line in text.splitlines():
            if keys := stems(line):
                lines += 1
                repeated += 2 * len(keys & earlier) > len(keys)
                earlier |= keys
        for query in queries:
            keys = stems(query.text)
            words += len(keys)
            own_words += len(keys & said)
    return Look(
        step=step,
        distinct=len(different) / len(written),
        valid=valid / len(written),
        own_words=own_words / max(words, 1),
        repeated=repeated / max(lines, 1),
        lines=lines / len(written),
    )
