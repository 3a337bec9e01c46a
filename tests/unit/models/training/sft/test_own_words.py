"""Which of a person's own words a taught line begins with."""

from __future__ import annotations

from models.training.sft.own_words import Newspaper, own_words
from service.records import Signal
from tests.unit.models.builders import article

PAPER = Newspaper(
    [
        *(article(f"t{i}", f"Turnberry course loses money {i}") for i in range(2)),
        *(article(f"m{i}", f"Menie planning fight {i}") for i in range(2)),
        article("once", "Girvan gets a harbour"),
        *(article(f"x{i}", f"The news of the day {i}") for i in range(200)),
    ]
)


def said(*texts: str) -> list[Signal]:
    return [Signal(i, "search", text, f"s{i}") for i, text in enumerate(texts)]


def test_words_that_the_paper_knows_and_that_are_said_most_often_come_in_the_order_said() -> None:
    signals = said("menie hotel", "turnberry losses", "turnberry tee times")
    assert own_words(signals, "golf resorts", PAPER, 2) == ("menie", "turnberry")
    assert own_words(signals, "golf resorts", PAPER, 1) == ("turnberry",)


def test_what_no_or_one_article_holds_or_very_many_do_is_left_out() -> None:
    assert own_words(said("girvan news zeppelin"), "golf", PAPER, 3) == ()


def test_what_the_query_says_is_not_said_again() -> None:
    assert own_words(said("Turnberry Menie"), "Turnberry losses", PAPER, 2) == ("Menie",)
