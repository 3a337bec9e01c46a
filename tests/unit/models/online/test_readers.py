from __future__ import annotations

import inspect

import numpy as np
import pytest

from models.demo.users import story_of
from models.online.readers import Click, Habits, Reader, opened, readers

HABITS = Habits()
LIKED = Reader("reader-00001", ("ferry",), ())
SHOWN = [f"ferry-{number:02d}" for number in range(1, 11)]


def places(shown: list[str], times: int = 4_000) -> np.ndarray:
    """Clicks on each place over many visits."""
    found = np.zeros(len(shown))
    for number in range(times):
        for click in opened(LIKED, shown, HABITS, 7, np.random.default_rng(number)):
            found[click.place - 1] += 1
    return found / times


def test_they_follow_stories_of_the_newspaper_and_each_is_another() -> None:
    crowd = readers(40)
    assert len({reader.id for reader in crowd}) == 40
    assert all(1 <= len(reader.follows) <= 4 for reader in crowd)
    assert len({reader.follows for reader in crowd}) > 30
    assert readers(40) == crowd
    assert readers(60)[:40] == crowd


def test_what_is_further_down_is_looked_at_less() -> None:
    same = ["ferry-01"] * 10  # of the same appeal, so that the place alone differs
    clicks = places(same)
    assert clicks[0] > clicks[3] > clicks[9] > 0
    assert clicks[9] / clicks[0] == pytest.approx(10**-HABITS.fades, abs=0.05)


def test_the_stories_one_follows_are_clicked_far_more_and_read_longer() -> None:
    other = ["chess-01"] * 10
    assert places(SHOWN).sum() > 10 * places(other).sum() > 0
    liked: list[Click] = []
    rest: list[Click] = []
    for number in range(3_000):
        rng = np.random.default_rng(number)
        liked += opened(LIKED, SHOWN, HABITS, 7, rng)
        rest += opened(LIKED, other, HABITS, 7, rng)
    assert np.median([click.dwell_ms for click in liked]) > 3 * np.median(
        [click.dwell_ms for click in rest]
    )


def test_nothing_below_the_places_that_are_shown_is_clicked() -> None:
    clicks = opened(LIKED, ["ferry-01"] * 500, Habits(fades=0), 7, np.random.default_rng(1))
    assert max(click.place for click in clicks) <= HABITS.shown


def test_a_click_depends_on_reader_articles_places_and_luck_and_on_nothing_else() -> None:
    assert list(inspect.signature(opened).parameters) == [
        "reader",
        "shown",
        "habits",
        "seed",
        "rng",
    ]
    one = opened(LIKED, SHOWN, HABITS, 7, np.random.default_rng(5))
    assert one == opened(LIKED, SHOWN, HABITS, 7, np.random.default_rng(5))
    assert story_of("a-b-07") == "a-b"
