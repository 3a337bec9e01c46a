"""The simulated reading log: readable as MIND's, and the popular get more popular."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from models.mind.reading import read_impressions
from models.mind.writing import LOG, write_mind
from models.simulation.reading_log import LIVE_DAYS, simulate_log
from models.simulation.signal_texts import MIXES
from models.simulation.world import World
from service.signals.clicks import Impression
from tests.unit.models.builders import DAY_MS, small_world


@pytest.fixture(scope="module")
def world() -> World:
    return small_world()


@pytest.fixture(scope="module")
def rows(world: World) -> list[Impression]:
    return list(simulate_log(world, "test", MIXES["hard"], users=20, impressions=300))


def test_the_log_is_read_back_as_it_was_made(
    world: World, rows: list[Impression], tmp_path: Path
) -> None:
    write_mind(tmp_path / "log", world.articles, rows)
    assert list(read_impressions(str(tmp_path / "log" / LOG))) == rows


def test_only_live_articles_are_shown_and_none_that_was_read(
    world: World, rows: list[Impression]
) -> None:
    published = {article.id: article.published_ms for article in world.articles}
    for row in rows:
        assert row.at_ms is not None
        for id_, _ in row.shown:
            assert row.at_ms - LIVE_DAYS * DAY_MS < published[id_] <= row.at_ms + 1000
        assert set(row.history).isdisjoint(id_ for id_, _ in row.shown)


def test_a_click_is_in_the_history_of_the_same_readers_next_impression(
    rows: list[Impression],
) -> None:
    clicked: dict[str, set[str]] = {}
    for row in rows:
        assert clicked.get(row.user, set()) <= set(row.history)
        clicked.setdefault(row.user, set()).update(id_ for id_, yes in row.shown if yes)
    assert any(clicked.values())


def test_clicks_fit_interests_more_often_than_not_shown_to_fit(
    world: World, rows: list[Impression]
) -> None:
    shown: Counter[str] = Counter()
    clicks: Counter[str] = Counter()
    for row in rows:
        for id_, yes in row.shown:
            shown[id_] += 1
            clicks[id_] += yes
    often = [id_ for id_, n in shown.most_common(20)]
    rate = sum(clicks[i] for i in often) / sum(shown[i] for i in often)
    everything = clicks.total() / shown.total()
    assert rate > 0.5 * everything
    assert 0.01 < everything < 0.6
