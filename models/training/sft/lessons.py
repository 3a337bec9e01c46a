"""What a student's training is made of: simulated users, the lists they teach, users to watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.progress import Say
from models.simulation.signal_texts import MIXES
from models.simulation.users import simulate
from models.simulation.world import Split, World, world_of_training
from models.training.sft.config import SftConfig
from models.training.sft.examples import Example, make_examples
from models.training.watch import Watched
from service.errors import ConfigurationError
from service.signals.prompt import Template, Tokenizer

END = "<|im_end|>"
"""The control token that ends an answer."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a run trains on, and the users whose lists are watched meanwhile."""

    taught: Sequence[Example]
    watched: Sequence[Watched]


def make_lessons(
    config: SftConfig,
    world: World,
    template: Template,
    tokenizer: Tokenizer,
    say: Say,
) -> Lessons:
    """Simulate a run's users and write their lists; `say` is told of each world that is done.

    Raises `ConfigurationError` where none of them has anything to write.
    """
    counts = {str(name): count for name, count in config.mixes.items()}
    taught: list[Example] = []
    worlds = max(config.worlds, 1)
    for number in range(worlds):
        seed = config.seed + number
        theirs = world_of_training(world, seed) if config.worlds else world
        here = {name: _share(count, number, worlds) for name, count in counts.items()}
        taught += _examples_of(config, theirs, "train", here, template, tokenizer, seed)
        say(f"world {number + 1} of {worlds}: {len(taught):,} examples so far")
    held_out = {"hard": 2 * config.watch.users}
    others = _examples_of(config, world, "valid", held_out, template, tokenizer, config.seed)
    watched = [Watched(other.prompt, other.shown) for other in others[: config.watch.users]]
    if not taught or not watched:
        raise ConfigurationError("no simulated user has a list to write: give more users in mixes")
    return Lessons(taught, watched)


def _examples_of(
    config: SftConfig,
    world: World,
    split: Split,
    counts: dict[str, int],
    template: Template,
    tokenizer: Tokenizer,
    seed: int,
) -> list[Example]:
    """Examples of `counts` users of each mix."""
    users = [
        user
        for name, count in counts.items()
        for user in simulate(world, split, MIXES[name], count, seed)
    ]
    return make_examples(users, config.label, template, tokenizer, budget=config.budget, end=END)


def _share(users: int, number: int, worlds: int) -> int:
    """How many of `users` live in world `number` of `worlds`."""
    return users * (number + 1) // worlds - users * number // worlds
