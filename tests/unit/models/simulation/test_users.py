"""Simulated users: what they may know, what is noise, and what keeps the splits apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from models.simulation.signal_texts import MIXES, MixName
from models.simulation.users import simulate
from models.simulation.world import SPLITS, World, build_world, tidy, world_of_training
from service.errors import ConfigurationError
from service.records import Vectors
from service.words.text import stems
from tests.unit.models.builders import HashedWords, article, small_world


@pytest.fixture(scope="module")
def world() -> World:
    return small_world()


def test_the_same_seed_gives_the_same_users_and_another_gives_others(world: World) -> None:
    first = list(simulate(world, "test", MIXES["hard"], 5, seed=3))
    assert first == list(simulate(world, "test", MIXES["hard"], 5, seed=3))
    assert first != list(simulate(world, "test", MIXES["hard"], 5, seed=4))


def test_a_user_does_not_depend_on_how_many_come_before_or_after(world: World) -> None:
    many = list(simulate(world, "test", MIXES["easy"], 6))
    assert many[:2] == list(simulate(world, "test", MIXES["easy"], 2))


@pytest.mark.parametrize("split", [*SPLITS, "tune"])
def test_signals_come_before_now_and_clicks_after_it(world: World, split: str) -> None:
    for user in simulate(world, split, MIXES["hard"], 20):  # type: ignore[arg-type]
        assert user.signals
        assert all(signal.at_ms < user.now_ms for signal in user.signals)
        assert [s.at_ms for s in user.signals] == sorted(s.at_ms for s in user.signals)
        assert all(world.times[place] > user.now_ms for place in user.clicks)


def test_a_news_signal_is_an_article_that_was_out_when_it_was_read(world: World) -> None:
    published = {article.id: article.published_ms for article in world.articles}
    for user in simulate(world, "test", MIXES["hard"], 30):
        for signal in user.signals:
            if signal.item is not None:
                assert published[signal.item] <= signal.at_ms


def test_no_interest_belongs_to_two_splits(world: World) -> None:
    owned = [set(world.interests_of(split).tolist()) for split in SPLITS]
    assert set().union(*owned) == set(range(len(world.centres)))
    assert sum(map(len, owned)) == len(world.centres)
    for split, allowed in zip(SPLITS, owned, strict=True):
        for user in simulate(world, split, MIXES["hard"], 10):
            assert set(user.interests) <= allowed


def test_training_users_never_see_or_click_an_article_of_a_later_split(world: World) -> None:
    _, end = world.span("train")
    place = {article.id: i for i, article in enumerate(world.articles)}
    for user in simulate(world, "train", MIXES["easy"], 30):
        assert max(user.clicks) < end
        assert all(place[s.item] < end for s in user.signals if s.item is not None)


def test_tuning_users_live_in_trainings_time_with_interests_that_training_lacks(
    world: World,
) -> None:
    _, end = world.span("train")
    taught = set(world.interests_of("train").tolist())
    users = list(simulate(world, "tune", MIXES["easy"], 20))
    assert all(taught.isdisjoint(user.interests) for user in users)
    assert all(max(user.clicks) < end for user in users)
    assert world.wording_of("tune") == world.wording_of("test") != world.wording_of("train")
    others = simulate(world, "valid", MIXES["easy"], 20)
    assert {user.id for user in users}.isdisjoint(user.id for user in others)


@pytest.mark.parametrize("mix", ["hard", "clicks"])
def test_in_a_world_of_training_nothing_of_the_other_splits_is_met_not_even_as_noise(
    world: World, mix: MixName
) -> None:
    of_training = set(world.interests_of("train"))
    place = {article.id: i for i, article in enumerate(world.articles)}

    def strangers(lived_in: World) -> list[int]:
        """Interests of the shared world that training lacks, of noise that is a headline."""
        return [
            int(world.interest[place[signal.item]])
            for user in simulate(lived_in, "train", MIXES[mix], 60)
            for signal, source in zip(user.signals, user.sources, strict=True)
            if source is None
            and signal.item
            and world.interest[place[signal.item]] not in of_training
        ]

    assert strangers(world)
    assert not strangers(world_of_training(world, seed=1))


def test_searches_of_a_world_of_training_are_nearest_to_trainings_interests(world: World) -> None:
    asked = [world.articles[i].title for i in (3, 17, 31, 44, 60, 75)]
    searched = replace(
        world, searches=tuple(asked), search_vectors=HashedWords().encode(asked, "query")
    )
    nearest = np.argmax(searched.search_vectors @ world.centres.T, axis=1)
    kept = np.isin(nearest, world.interests_of("train"))
    assert 0 < kept.sum() < len(asked)
    own = world_of_training(searched, seed=1)
    assert own.searches == tuple(search for search, good in zip(asked, kept, strict=True) if good)
    assert np.array_equal(own.search_vectors, searched.search_vectors[kept])


def test_goods_that_are_near_to_everything_are_an_interest_s_no_more_than_others(
    world: World,
) -> None:
    of_one = world.centres[3]
    anything = world.centres.mean(axis=0) * 2
    shelf = replace(world, goods_vectors=np.stack([anything, of_one]).astype(np.float32))
    assert shelf.goods_vectors[0] @ of_one > shelf.goods_vectors[1] @ world.centres[4]
    assert shelf.goods_near(3)[0] == 1
    assert 1 not in shelf.goods_near(4)


def test_what_is_near_does_not_depend_on_how_narrow_the_encoder_s_range_is(world: World) -> None:
    asked = [world.articles[i].title for i in (3, 17, 31, 44, 60, 75)]
    vectors = HashedWords().encode(asked, "query")
    wide = replace(world, searches=tuple(asked), search_vectors=vectors)

    def narrowed(vectors: Vectors) -> Vectors:
        """Each cosine c becomes 0.8 + 0.2 c."""
        common = np.full((len(vectors), 1), 0.8**0.5, np.float32)
        return np.hstack([common, vectors * np.float32(0.2**0.5)])

    narrow = replace(
        wide,
        vectors=narrowed(wide.vectors),
        centres=narrowed(wide.centres),
        search_vectors=narrowed(wide.search_vectors),
        unrelated=0.8,
    )
    near = [wide.searches_near(article).tolist() for article in range(60)]
    assert near == [narrow.searches_near(article).tolist() for article in range(60)]
    assert [] in near
    assert [0] in near


def test_interests_and_appeal_differ_from_one_world_of_training_to_the_next(world: World) -> None:
    first, again, other = (world_of_training(world, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.interest, again.interest)
    assert np.array_equal(first.appeal, again.appeal)
    assert not np.array_equal(first.appeal, other.appeal)
    assert not np.array_equal(first.interest, other.interest)
    covered = np.isin(world.interest, world.interests_of("train"))
    for drawn in (first, other):
        assert np.array_equal(drawn.interest >= 0, covered)
        assert set(drawn.interests_of("train")) >= set(drawn.interest[covered])


def test_other_splits_have_no_users_in_a_world_of_training(world: World) -> None:
    with pytest.raises(ValueError, match="has no test users"):
        list(simulate(world_of_training(world, seed=1), "test", MIXES["hard"], 1))


def test_in_the_hard_mix_searches_share_a_word_at_most_with_what_is_clicked_later(
    world: World,
) -> None:
    for user in simulate(world, "test", MIXES["hard"], 30):
        later = [stems(f"{world.articles[i].title}") for i in user.clicks]
        for signal, source in zip(user.signals, user.sources, strict=True):
            if source is not None and signal.domain in ("search", "browse", "video"):
                said = stems(signal.text)
                assert all(len(said & words) <= MIXES["hard"].shared for words in later)


def test_the_hard_mix_is_noisier_than_the_easy_one(world: World) -> None:
    def noise(mix: str) -> float:
        users = list(simulate(world, "test", MIXES[mix], 60))
        sources = Counter(source is None for user in users for source in user.sources)
        return sources[True] / sources.total()

    assert noise("easy") < noise("hard")


def test_in_the_mix_of_clicks_all_signals_are_headlines(world: World) -> None:
    titles = {article.title for article in world.articles}
    users = list(simulate(world, "test", MIXES["clicks"], 30))
    texts = [(s.domain, s.text) for user in users for s in user.signals]
    assert sum(domain == "news" and text in titles for domain, text in texts) > 0.97 * len(texts)


def test_some_users_are_cold_and_some_are_not(world: World) -> None:
    amounts = [len(user.signals) for user in simulate(world, "test", MIXES["easy"], 80)]
    assert min(amounts) <= 3
    assert max(amounts) >= 10


def test_appealing_articles_are_clicked_more_often_and_seem_more_popular(world: World) -> None:
    clicks = Counter(i for u in simulate(world, "test", MIXES["hard"], 150) for i in u.clicks)
    start, end = world.span("test")
    clicked = np.array([clicks[i] for i in range(start, end)])
    assert np.corrcoef(clicked, world.appeal[start:end])[0, 1] > 0.05
    seen = np.array([article.popularity for article in world.articles])
    assert np.corrcoef(seen, world.appeal)[0, 1] > 0.5


def test_too_few_dated_articles_are_refused_with_the_number_that_is_needed() -> None:
    few = [article(f"a{i}", f"title {i}") for i in range(20)]
    with pytest.raises(ConfigurationError, match=r"20 articles with a date are too few.*1,000"):
        build_world(few, [], HashedWords())


def test_a_search_parted_into_tokens_is_joined_as_people_type_it() -> None:
    assert tidy("who won the men 's final") == "who won the men's final"
    assert tidy("ca n't stop the feeling .") == "can't stop the feeling."
