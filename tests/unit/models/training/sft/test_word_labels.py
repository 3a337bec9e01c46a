"""What people teach: an editor's query for each interest of which something is shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from models.people.records import Interest, Thread
from models.people.views import Seen
from models.training.sft.config import SftConfig
from models.training.sft.lessons import Teachers, make_lessons
from models.training.sft.word_labels import word_label
from service.generation.queries import parse
from service.records import Signal
from service.signals.prompt import Template, Tokenizer
from tests.unit.models.people.builders import PORTRAIT, articles, person, trace
from tests.unit.service.signals.conftest import template, tokenizer, tokenizer_file

__all__ = ["template", "tokenizer", "tokenizer_file"]

SIGNALS = tuple(Signal(n, "search", text, f"s{n}") for n, text in enumerate("abcd"))
SEEN = Seen(
    "ada",
    SIGNALS,
    (1, 0, None, 0),
    (Interest("ferries", "battery ferry"), Interest("bread", "sourdough bread")),
)


def test_the_interest_with_most_signals_shown_comes_first_and_noise_asks_for_nothing() -> None:
    assert word_label(SEEN, SIGNALS, 6) == ["battery ferry", "sourdough bread"]
    assert word_label(SEEN, SIGNALS, 1) == ["battery ferry"]
    assert word_label(SEEN, SIGNALS[2:3], 6) == []


def test_an_interest_of_which_nothing_is_shown_is_not_asked_for() -> None:
    assert word_label(SEEN, SIGNALS[:1], 6) == ["sourdough bread"]


def test_a_line_may_begin_with_words_of_the_signals_of_its_interest() -> None:
    def own(signals: Sequence[Signal], query: str) -> Sequence[str]:
        return ["".join(signal.text for signal in signals), str(len(query.split()))]

    assert word_label(SEEN, SIGNALS, 6, own) == ["bd 2 battery ferry", "a 2 sourdough bread"]


ADA = person(
    "ada",
    trace("loaf tin", 1, domain="purchase"),
    trace("crossing a fjord", 0),
    trace("post office hours"),
    queries=("battery ferry", "sourdough bread"),
)

BREAD = Thread("croissant recipes", (("search", "butter 82 percent"), ("video", "How to fold")), 1)


def lessons(template: Template, tokenizer: Tokenizer, **changed: object) -> SftConfig:
    given = {"student": "any/1", "articles": "a.jsonl", "people": {"views": 30}}
    return SftConfig.model_validate({**given, **changed})


def test_examples_of_people_are_what_the_service_would_parse_and_hold_no_portrait(
    template: Template, tokenizer: Tokenizer
) -> None:
    config = lessons(template, tokenizer, budget=200, people={"views": 30, "threads": 10})
    said: list[str] = []
    made = make_lessons(
        config, Teachers(None, [ADA], [BREAD], [ADA], articles()), template, tokenizer, said.append
    )
    assert said == [f"people: {len(made.taught):,} examples"]
    assert len(made.watched) == 1
    queries = {BREAD.query, *(interest.query for interest in ADA.interests)}
    assert {example.user.partition("~")[0] for example in made.taught} == {"ada", "threads"}
    end = tokenizer.trusted("<|im_end|>")
    for example in made.taught:
        answer = example.answer[: -len(end)] if example.answer[-len(end) :] == tuple(end) else None
        assert answer is not None
        text = tokenizer.decode(answer)
        assert {
            query.text for query in parse(text, example.shown, finished=True, max_queries=8)
        } <= queries
        prompt = tokenizer.decode(example.prompt)
        assert not any(word in prompt for word in words_of(PORTRAIT))
        assert not any(interest.name in prompt for interest in ADA.interests)


def words_of(text: str) -> Sequence[str]:
    """The long ones, which stand nowhere else."""
    return [word for word in text.split() if len(word) > 6]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"people": None}, "nobody teaches"),
        ({"mixes": {"hard": 4}}, "mixes need label and searches"),
        ({"people": {"views": 0}}, "views"),
    ],
)
def test_a_configuration_without_teachers_or_with_half_of_them_is_refused(
    changes: dict[str, object], said: str, template: Template, tokenizer: Tokenizer
) -> None:
    with pytest.raises(ValidationError, match=said):
        lessons(template, tokenizer, **changes)
