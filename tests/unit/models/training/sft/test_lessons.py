"""What a run trains on: its users, shared out over the worlds they live in."""

from __future__ import annotations

from collections import Counter

import pytest

from models.simulation.world import World
from models.training.sft.config import SftConfig
from models.training.sft.lessons import Lessons, Teachers, make_lessons
from service.errors import ConfigurationError
from service.signals.prompt import Template, Tokenizer
from tests.unit.models.builders import small_world
from tests.unit.service.signals.conftest import template, tokenizer, tokenizer_file

__all__ = ["template", "tokenizer", "tokenizer_file"]


@pytest.fixture(scope="module")
def world() -> World:
    return small_world()


def lessons(world: World, template: Template, tokenizer: Tokenizer, **changed: object) -> Lessons:
    """Of thirteen users, each of whom has something to be taught."""
    given = {
        "student": "any/1",
        "articles": "articles.jsonl",
        "searches": "searches.jsonl",
        "mixes": {"clicks": 8, "easy": 5},
        "label": {"references": 8},
        "watch": {"users": 3},
        "seed": 18,
    }
    config = SftConfig.model_validate({**given, **changed})
    said: list[str] = []
    made = make_lessons(config, Teachers(world), template, tokenizer, said.append)
    assert len(said) == max(config.worlds, 1)
    return made


def users(made: Lessons) -> Counter[str]:
    """How many users there are of each name: in every world they are counted from nought."""
    return Counter(example.user for example in made.taught)


def test_users_are_shared_out_over_the_worlds(
    world: World, template: Template, tokenizer: Tokenizer
) -> None:
    one = users(lessons(world, template, tokenizer))
    three = users(lessons(world, template, tokenizer, worlds=3))
    assert set(one.values()) == {1}
    assert "train-clicks-00007" in one
    assert max(three) < "train-easy-00002"
    assert three["train-clicks-00000"] == 3
    assert three["train-clicks-00002"] == 2
    assert "train-clicks-00003" not in three


def test_users_of_two_worlds_are_other_persons(
    world: World, template: Template, tokenizer: Tokenizer
) -> None:
    made = lessons(world, template, tokenizer, worlds=3)
    same_name = [example.prompt for example in made.taught if example.user == "train-clicks-00000"]
    assert len(set(same_name)) == 3


def test_watched_users_live_in_the_shared_world_whatever_the_training_users_do(
    world: World, template: Template, tokenizer: Tokenizer
) -> None:
    shared = lessons(world, template, tokenizer)
    own = lessons(world, template, tokenizer, worlds=2)
    assert len(own.watched) == 3
    assert own.watched == shared.watched


def test_users_who_have_nothing_to_be_taught_are_an_error(
    world: World, template: Template, tokenizer: Tokenizer
) -> None:
    with pytest.raises(ConfigurationError, match="give more users in mixes"):
        lessons(world, template, tokenizer, mixes={"clicks": 1}, seed=2)
