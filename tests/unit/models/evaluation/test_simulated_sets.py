"""Sets out of simulated users: what they click, and what a set says of itself."""

from __future__ import annotations

import pytest

from models.evaluation.simulated_sets import simulated_set
from models.simulation.signal_texts import MIXES
from service.errors import InvalidInput
from tests.unit.models.builders import small_world


def test_simulated_users_click_articles_of_the_index_that_come_after_their_now() -> None:
    data = simulated_set(small_world(), "test", MIXES["hard"], 5)
    published = {article.id: article.published_ms for article in data.articles}
    assert len(data.users) == 5
    assert data.now_ms == max(published.values())
    for user in data.users:
        assert all(published[id_] > user.now_ms for id_ in user.relevant)
        assert all(signal.at_ms <= user.now_ms for signal in user.signals)
        assert user.exclude == {signal.item for signal in user.signals if signal.item}


def test_a_set_states_how_many_words_its_signals_share_with_later_clicks() -> None:
    hard, easy = (simulated_set(small_world(), "test", MIXES[mix], 40) for mix in ("hard", "easy"))
    assert hard.about["sharing_two_but_news"] == 0
    assert 0 < easy.about["sharing_two_but_news"] <= easy.about["sharing_one"] <= 1  # type: ignore[operator]


def test_no_simulated_user_is_too_few() -> None:
    with pytest.raises(InvalidInput) as error:
        simulated_set(small_world(), "test", MIXES["hard"], 0)
    assert error.value.field == "--users"
