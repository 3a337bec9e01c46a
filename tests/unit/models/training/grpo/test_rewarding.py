"""Prompts as they are served, and the rewards of answers to them as a trainer asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.evaluation.bench import Bench
from models.people.views import as_written
from models.rewards.outcomes import Outcomes
from models.rewards.scoring import chosen_rewards
from models.rewards.suspects import Scored
from models.training.grpo.prompts import Asked, ask, text_of
from models.training.grpo.rewarding import Rewarding
from models.training.grpo.suspects_page import write_suspects
from service.signals.prompt import Template, Tokenizer
from tests.unit.models.builders import reader, signal, small_set
from tests.unit.models.people.builders import articles, person, trace
from tests.unit.service.signals.conftest import template, tokenizer, tokenizer_file

__all__ = ["template", "tokenizer", "tokenizer_file"]

ADA = person("ada", trace("fjord", 0), trace("dentist"), queries=("battery ferry",))
IDLE = person("idle", trace("dentist"), queries=("chess champion",))
END = "<|im_end|>"


@pytest.fixture
def asked(template: Template, tokenizer: Tokenizer) -> list[Asked]:
    seen = (as_written(one, articles()) for one in (ADA, IDLE))
    return ask(seen, template, tokenizer, 200)


@pytest.fixture
def rewarding(asked: list[Asked], tokenizer: Tokenizer) -> Iterator[Rewarding]:
    with Bench(small_set(reader("ben", "bread", signal("rye")))) as bench:
        rewards = chosen_rewards({"relevance": 1.0, "form": 0.5})
        yield Rewarding(asked, Outcomes(bench), rewards, tokenizer)


def test_nobody_is_asked_who_shows_no_interest(asked: list[Asked]) -> None:
    assert [one.seen.id for one in asked] == ["ada"]
    assert [one.kind for one in asked] == ["ada"]


def test_an_answer_ends_where_its_end_stands(tokenizer: Tokenizer) -> None:
    whole = tokenizer.trusted(f"fjord ferries{END}")
    assert text_of(whole, tokenizer) == ("fjord ferries", True)
    assert text_of(whole[:-1], tokenizer) == ("fjord ferries", False)


def test_a_trainer_gets_each_reward_by_its_name_in_the_order_of_the_answers(
    rewarding: Rewarding, tokenizer: Tokenizer
) -> None:
    answers = [tokenizer.trusted(f"{text}{END}") for text in ("battery ferry", "chess champion")]
    relevance, form = rewarding.functions()
    assert (getattr(relevance, "__name__", ""), getattr(form, "__name__", "")) == (
        "relevance",
        "form",
    )
    asked = {"prompts": ["0", "0"], "completion_ids": answers, "completions": ["", ""]}
    assert relevance(**asked) == [1.0, 0.0]
    assert form(**asked) == [1.0, 1.0]
    assert [one.text for one in rewarding.lately] == ["battery ferry", "chess champion"]


def test_lists_worth_reading_become_a_page(rewarding: Rewarding, tmp_path: Path) -> None:
    lists = [
        Scored("ada", "a | b\nc <d>", {"relevance": 0.0, "form": 1.0}),
        Scored("ada", "fjord ferries", {"relevance": 1.0, "form": None}),
        Scored("ada", "fjord", {"relevance": 1.0, "form": 0.5}),
    ]
    path = tmp_path / "suspects.md"
    write_suspects(path, [], rewarding.rewards)
    assert not path.exists()
    write_suspects(path, lists, rewarding.rewards)
    page = path.read_text()
    assert "a \\| b<br>c &lt;d>" in page
    assert "form high, relevance low" in page
    assert "form –" in page
