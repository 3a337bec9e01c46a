"""What a student's training is made of: users, the lists they teach, and users to watch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.people.records import Person, Thread
from models.people.views import Seen, as_written, thread_views, views
from models.progress import Say
from models.simulation.signal_texts import MIXES
from models.simulation.users import SimulatedUser, simulate
from models.simulation.world import Split, World, world_of_training
from models.training.sft.config import SftConfig
from models.training.sft.examples import Example, make_examples
from models.training.sft.own_words import Newspaper, own_words
from models.training.sft.reference_labels import reference_label
from models.training.sft.word_labels import word_label
from models.training.watch import Watched
from service.errors import ConfigurationError
from service.records import Article, Signal
from service.signals.prompt import Template, Tokenizer

END = "<|im_end|>"
"""The control token that ends an answer."""


@dataclass(frozen=True, slots=True)
class Teachers:
    """Who teaches: simulated users of a world, written people, or both."""

    world: World | None = None
    people: Sequence[Person] = ()
    threads: Sequence[Thread] = ()
    watched: Sequence[Person] = ()
    """People who are not trained on."""
    articles: Mapping[str, Article] | None = None
    """By id those that people clicked."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a run trains on, and the users whose lists are watched meanwhile."""

    taught: Sequence[Example]
    watched: Sequence[Watched]


def make_lessons(
    config: SftConfig,
    teachers: Teachers,
    template: Template,
    tokenizer: Tokenizer,
    say: Say,
) -> Lessons:
    """Make a run's users and write their lists; `say` is told of each world that is done.

    Where people teach, people are watched; else simulated users are. Raises `ConfigurationError`
    where nobody has anything to write.
    """
    taught: list[Example] = []
    watched: list[Watched] = []
    if teachers.world is not None:
        simulated, watched = _of_worlds(config, teachers.world, template, tokenizer, say)
        taught += simulated
    if config.people is not None:
        of_people, watched = _of_people(config, teachers, template, tokenizer)
        say(f"people: {len(of_people):,} examples")
        taught += of_people
    if not taught or not watched:
        raise ConfigurationError("nobody has a list to write: give more users in mixes, or people")
    return Lessons(taught, watched)


def _of_people(
    config: SftConfig, teachers: Teachers, template: Template, tokenizer: Tokenizer
) -> tuple[list[Example], list[Watched]]:
    """Examples of views of people, and others of them to watch."""
    params, articles = config.people, teachers.articles or {}
    assert params is not None

    newspaper = Newspaper(articles.values())

    def own(signals: Sequence[Signal], query: str) -> Sequence[str]:
        return own_words(signals, query, newspaper, params.own_words)

    def label(seen: Seen, shown: Sequence[Signal]) -> list[str]:
        return word_label(seen, shown, params.queries, own if params.own_words else None)

    def examples(seen: Iterable[Seen]) -> list[Example]:
        return make_examples(seen, label, template, tokenizer, budget=config.budget, end=END)

    people, seed = teachers.people, config.seed
    noise = [trace for one in people for trace in one.traces if trace.interest is None]
    taught = examples(views(people, articles, params.views, seed))
    taught += examples(thread_views(teachers.threads, noise, params.threads, seed))
    others = examples(as_written(person, articles) for person in teachers.watched)
    watched = [Watched(other.prompt, other.shown) for other in others[: config.watch.users]]
    return taught, watched


def _of_worlds(
    config: SftConfig, world: World, template: Template, tokenizer: Tokenizer, say: Say
) -> tuple[list[Example], list[Watched]]:
    """Examples of simulated users, and others of them to watch."""
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
    return taught, [Watched(other.prompt, other.shown) for other in others[: config.watch.users]]


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
    form = config.label
    assert form is not None  # mixes need one

    def label(user: SimulatedUser, shown: Sequence[Signal]) -> list[str]:
        return reference_label(user, shown, form)

    return make_examples(users, label, template, tokenizer, budget=config.budget, end=END)


def _share(users: int, number: int, worlds: int) -> int:
    """How many of `users` live in world `number` of `worlds`."""
    return users * (number + 1) // worlds - users * number // worlds
