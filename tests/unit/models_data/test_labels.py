"""The lists that are taught: no noise, no future, no stem twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.data.examples import make_examples
from models.data.labels import LabelForm, label
from models.data.signal_texts import MIXES
from models.data.simulator import SimulatedUser, simulate
from models.data.world import World
from service.generation.text import stems
from service.signals.prompt import Template, Tokenizer
from tests.unit.evaluation.builders import HashedWords, small_world

USUAL = LabelForm()


@pytest.fixture(scope="module")
def world() -> World:
    return small_world()


def lines_of(world: World, user: SimulatedUser, form: LabelForm = USUAL) -> list[str]:
    vectors = HashedWords().encode([s.text for s in user.signals])
    return label(world, user, user.signals, vectors, form)


def test_a_stem_stands_once_in_a_list(world: World) -> None:
    for user in simulate(world, "train", MIXES["easy"], 30):
        seen: set[str] = set()
        for line in lines_of(world, user):
            assert seen.isdisjoint(stems(line))
            seen |= stems(line)


def test_noise_alone_has_no_list(world: World) -> None:
    user = next(iter(simulate(world, "train", MIXES["easy"], 1)))
    assert lines_of(world, replace(user, sources=(None,) * len(user.signals))) == []


def test_words_of_noise_are_not_written(world: World) -> None:
    for user in simulate(world, "train", MIXES["hard"], 30):
        wanted = set().union(
            *(
                stems(s.text)
                for s, k in zip(user.signals, user.sources, strict=True)
                if k is not None
            )
        )
        noise = set().union(
            *(stems(s.text) for s, k in zip(user.signals, user.sources, strict=True) if k is None)
        )
        news = set().union(*(stems(one.title) for one in world.articles))
        for line in lines_of(world, user):
            assert stems(line).isdisjoint(noise - wanted - news)


def test_a_list_does_not_change_when_the_future_does(world: World) -> None:
    user = next(u for u in simulate(world, "train", MIXES["easy"], 20) if len(u.signals) > 5)
    renamed = tuple(
        replace(one, title="something else entirely") if one.published_ms > user.now_ms else one
        for one in world.articles
    )
    assert lines_of(replace(world, articles=renamed), user) == lines_of(world, user)


def test_the_news_adds_words_that_the_signals_do_not_say(world: World) -> None:
    said_only = LabelForm(news=0)
    added = 0
    for user in simulate(world, "train", MIXES["easy"], 20):
        with_news = {k for line in lines_of(world, user) for k in stems(line)}
        without = {k for line in lines_of(world, user, said_only) for k in stems(line)}
        added += len(with_news - without)
    assert added > 0


def test_examples_fit_the_budget_and_end_in_the_end_token(
    world: World, template: Template, tokenizer: Tokenizer
) -> None:
    users = list(simulate(world, "train", MIXES["easy"], 30))
    end = tokenizer.control_tokens[0]
    examples = make_examples(
        world, users, HashedWords(), LabelForm(), template, tokenizer, budget=400, end=end
    )
    assert examples
    for one in examples:
        assert one.answer[-1] in tokenizer.control_ids
        assert len(one.prompt) <= 400


def test_rows_of_length_one_make_products_cosines() -> None:
    vectors = HashedWords().encode(["battery ferry", "ferry on the fjord", "bread"])
    assert np.allclose((vectors**2).sum(axis=1), 1)
