"""Which lists are worth reading after a training."""

from __future__ import annotations

from models.rewards.scoring import chosen_rewards
from models.rewards.suspects import Scored, at_odds, highest

REWARDS = chosen_rewards({"relevance": 1.0, "grounding": 1.0})


def scored(text: str, relevance: float | None, grounding: float | None) -> Scored:
    return Scored("olga", text, {"relevance": relevance, "grounding": grounding})


USUAL = [scored(f"list {i}", i / 20, i / 20) for i in range(20)]
MADE_UP = scored("made up and relevant", 1.0, 0.0)


def test_the_highest_lists_come_first_and_each_once() -> None:
    found = highest([*USUAL, USUAL[-1], MADE_UP], REWARDS, 2)
    assert [one.scored.text for one in found] == ["list 19", "list 18"]
    assert found[0].amount > found[1].amount


def test_a_list_on_which_two_rewards_disagree_is_found_and_says_which() -> None:
    (found,) = at_odds([*USUAL, MADE_UP], REWARDS, 5)
    assert found.scored is MADE_UP
    assert found.why == "relevance high, grounding low"


def test_rewards_that_tell_nothing_apart_do_not_disagree() -> None:
    assert at_odds([scored("a", 0.5, None), scored("b", 0.5, None)], REWARDS, 5) == []
