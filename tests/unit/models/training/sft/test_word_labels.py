"""The lists that are taught: no noise, no future, no stem twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.simulation.signal_texts import MIXES
from models.simulation.usage import Usage
from models.simulation.users import SimulatedUser, simulate
from models.simulation.world import World
from models.training.sft.examples import make_examples
from models.training.sft.word_labels import LabelForm, label
from service.records import Domain, Signal
from service.signals.prompt import Template, Tokenizer
from service.words.text import stems
from tests.unit.models.builders import HashedWords, small_world

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
    changed = replace(
        world, articles=renamed, usage=Usage.of(f"{one.title}. {one.abstract}" for one in renamed)
    )
    for form in (USUAL, LabelForm(year=1.0)):
        assert lines_of(changed, user, form) == lines_of(world, user, form)


def test_a_query_says_what_the_user_said_and_nothing_else(world: World) -> None:
    for user in simulate(world, "train", MIXES["easy"], 20):
        said = {word for s in user.signals for word in s.text.split()}
        for line in lines_of(world, user):
            assert all(any(word in one for one in said) for word in line.split())
            assert 2 <= len(line.split()) <= USUAL.said


def user_saying(world: World, *signals: tuple[Domain, str]) -> SimulatedUser:
    """A user of one interest who has done this."""
    user = next(iter(simulate(world, "train", MIXES["easy"], 1)))
    made = tuple(
        Signal(user.now_ms - 1000 + i, domain, text, f"s{i}")
        for i, (domain, text) in enumerate(signals)
    )
    return replace(user, signals=made, sources=(user.interests[0],) * len(made))


def test_signals_that_mean_nothing_like_each_other_make_no_query_together(world: World) -> None:
    user = user_saying(
        world,
        ("search", "glacier ferry timetable"),
        ("browse", "glacier ferry accident"),
        ("search", "opera ticket"),
        ("video", "opera singer ticket"),
    )
    second, first = lines_of(world, user, LabelForm(cohesion=0.4))
    assert stems(first).isdisjoint(stems("opera singer ticket"))
    assert stems(second).isdisjoint(stems("glacier ferry timetable accident"))
    together = lines_of(world, user, LabelForm(cohesion=-1))
    assert len(together) == 1


def test_what_is_only_bought_makes_no_query_unless_little_else_is_known(world: World) -> None:
    bought: list[tuple[Domain, str]] = [("purchase", f"oak table {word}") for word in "abcd"]
    assert lines_of(world, user_saying(world, *bought)) == []
    assert lines_of(world, user_saying(world, *bought[:2])) == ["oak table"]


def test_words_of_a_page_or_search_that_say_what_it_is_are_left_out(world: World) -> None:
    user = user_saying(
        world, ("browse", "Glacier ferry timeline"), ("search", "glacier ferry latest")
    )
    assert lines_of(world, user) == ["Glacier ferry"]


def test_a_word_that_news_uses_is_preferred_to_one_that_it_never_used(world: World) -> None:
    user = user_saying(
        world, ("search", "zzyzx of glacier in ferry"), ("browse", "zzyzx of glacier in ferry")
    )
    form = LabelForm(said=2, year=1.0)
    place = int(np.searchsorted(world.times, user.now_ms))
    told = [f"{one.title}. {one.abstract}" for one in world.articles]
    told[place - 5] += " A glacier and a ferry."
    assert lines_of(replace(world, usage=Usage.of(told)), user, form) == ["glacier ferry"]
    told = [f"{one.title}. {one.abstract}" for one in world.articles]
    told[place - 5] += " Zzyzx and the ferry."
    assert lines_of(replace(world, usage=Usage.of(told)), user, form) == ["zzyzx ferry"]


def test_what_was_said_last_comes_first_where_the_form_says_so(world: World) -> None:
    user = user_saying(world, ("search", "glacier ferry"), ("browse", "harbour accident"))
    one = LabelForm(cohesion=-1)
    assert lines_of(world, user, one) == ["glacier ferry harbour accident"]
    newest = replace(one, newest_first=True)
    assert lines_of(world, user, newest) == ["harbour accident glacier ferry"]
    apart = user_saying(
        world,
        ("search", "opera singer"),
        ("search", "glacier ferry timetable"),
        ("browse", "glacier ferry accident"),
        ("video", "opera singer ticket"),
    )
    first, second = lines_of(world, apart, LabelForm(cohesion=0.4, newest_first=True))
    assert "opera" in first
    assert "glacier" in second


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
