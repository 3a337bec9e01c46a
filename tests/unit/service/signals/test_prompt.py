"""The prompt only grows at its end, stays within its budget, and moves its window seldom."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import ConfigurationError
from service.records import DOMAINS, Prompt, Signal
from service.signals.prompt import render
from service.signals.template import Template, Tokenizer, load_template

BUDGET = 300
TEXTS = st.text(min_size=0, max_size=60)
SIGNALS = st.lists(st.tuples(st.sampled_from(DOMAINS), TEXTS), max_size=60).map(
    lambda rows: [Signal(i, domain, text, f"s{i}") for i, (domain, text) in enumerate(rows)]
)


def of(*texts: str) -> list[Signal]:
    return [Signal(i, "search", text, f"id{i}") for i, text in enumerate(texts)]


def many(count: int) -> list[Signal]:
    return of(*(f"trains in the north number {i}" for i in range(count)))


def texts_of(prompt: Prompt, tokenizer: Tokenizer) -> list[str]:
    """The lines of a prompt without the numbers that some begin with."""
    return [line.lstrip("0123456789.") for line in tokenizer.decode(prompt.token_ids).splitlines()]


def before_cue(prompt: Prompt, template: Template, tokenizer: Tokenizer) -> tuple[int, ...]:
    cue = tokenizer.trusted(template.cue)
    assert prompt.token_ids[-len(cue) :] == cue
    return prompt.token_ids[: -len(cue)]


def test_the_layout_is_prefix_then_oldest_to_newest_then_cue(
    template: Template, tokenizer: Tokenizer
) -> None:
    signals = [
        Signal(1, "search", "night trains", "a"),
        Signal(2, "purchase", "a rail  pass\n", "b"),
    ]
    prompt = render(signals, template, tokenizer, BUDGET)
    assert prompt.shown == tuple(signals)
    assert tokenizer.decode(prompt.token_ids) == (
        template.prefix + "1. searched: night trains\n2. bought: a rail pass\n" + template.cue
    )


def test_a_template_may_put_a_domain_behind_all_others_each_group_oldest_first(
    template: Template, tokenizer: Tokenizer
) -> None:
    headlines_last = template.model_copy(update={"last": ("news",)})
    signals = [
        Signal(1, "news", "Ferry sinks", "a"),
        Signal(2, "search", "night trains", "b"),
        Signal(3, "news", "Bakers strike", "c"),
        Signal(4, "purchase", "rail pass", "d"),
    ]
    prompt = render(signals, headlines_last, tokenizer, BUDGET)
    assert [shown.id for shown in prompt.shown] == ["b", "d", "a", "c"]
    assert tokenizer.decode(prompt.token_ids) == (
        template.prefix
        + "1. searched: night trains\n2. bought: rail pass\n"
        + "3. news: Ferry sinks\n4. news: Bakers strike\n"
        + template.cue
    )


@given(signals=SIGNALS)
@settings(max_examples=60)
def test_a_domain_put_last_changes_the_order_and_nothing_else(
    signals: list[Signal], template: Template, tokenizer: Tokenizer
) -> None:
    headlines_last = template.model_copy(update={"last": ("news",)})
    plain = render(signals, template, tokenizer, BUDGET)
    moved = render(signals, headlines_last, tokenizer, BUDGET)
    assert sorted(shown.id for shown in moved.shown) == sorted(shown.id for shown in plain.shown)
    assert sorted(texts_of(moved, tokenizer)) == sorted(texts_of(plain, tokenizer))
    assert len(moved.token_ids) <= BUDGET


def test_a_number_may_stand_behind_the_text_where_all_of_it_has_been_read(
    template: Template, tokenizer: Tokenizer
) -> None:
    behind = template.model_copy(update={"signal": "{domain}: {text} #{n}\n"})
    prompt = render(of("night trains", "boats"), behind, tokenizer, BUDGET)
    assert tokenizer.decode(prompt.token_ids) == (
        template.prefix + "searched: night trains #1\nsearched: boats #2\n" + template.cue
    )


@settings(max_examples=30)
@given(signals=SIGNALS, budget=st.integers(80, 700))
def test_numbers_behind_the_texts_are_in_the_budget(
    template: Template, tokenizer: Tokenizer, signals: list[Signal], budget: int
) -> None:
    behind = template.model_copy(update={"signal": "{domain}: {text} #{n}\n"})
    assert len(render(signals, behind, tokenizer, budget).token_ids) <= budget


def test_without_signals_only_the_fixed_words_are_left(
    template: Template, tokenizer: Tokenizer
) -> None:
    prompt = render([], template, tokenizer, BUDGET)
    assert prompt.shown == ()
    assert tokenizer.decode(prompt.token_ids) == template.prefix + template.cue


def test_signals_without_anything_to_read_are_not_numbered(
    template: Template, tokenizer: Tokenizer
) -> None:
    prompt = render(of("", "\u200b\u202e", "boats"), template, tokenizer, BUDGET)
    assert [signal.text for signal in prompt.shown] == ["boats"]


@settings(max_examples=60)
@given(signals=SIGNALS, budget=st.integers(80, 700))
def test_no_prompt_exceeds_its_budget(
    template: Template, tokenizer: Tokenizer, signals: list[Signal], budget: int
) -> None:
    prompt = render(signals, template, tokenizer, budget)
    assert len(prompt.token_ids) <= budget
    assert len(prompt.shown) <= template.max_signals
    if prompt.shown:
        readable = [s for s in signals if s.at_ms >= prompt.shown[0].at_ms]
        assert [s for s in readable if s in prompt.shown] == list(prompt.shown)


@settings(max_examples=60)
@given(signals=SIGNALS, text=TEXTS)
def test_another_signal_extends_the_prompt_up_to_the_cue_unless_the_window_moves(
    template: Template, tokenizer: Tokenizer, signals: list[Signal], text: str
) -> None:
    later = [*signals, Signal(10_000, "news", text, "later")]
    one = render(signals, template, tokenizer, BUDGET)
    two = render(later, template, tokenizer, BUDGET)
    if one.shown and two.shown and one.shown[0] == two.shown[0]:
        head = before_cue(one, template, tokenizer)
        assert before_cue(two, template, tokenizer)[: len(head)] == head
        assert two.shown[: len(one.shown)] == one.shown


def test_the_window_moves_seldom(template: Template, tokenizer: Tokenizer) -> None:
    signals = many(600)
    starts = [
        render(signals[:count], template, tokenizer, 700).shown[0].id for count in range(100, 600)
    ]
    moves = sum(a != b for a, b in itertools.pairwise(starts))
    shown = len(render(signals, template, tokenizer, 700).shown)
    assert moves / len(starts) < 3 / (shown / 3)


def test_at_least_two_thirds_of_what_fits_is_shown(
    template: Template, tokenizer: Tokenizer
) -> None:
    signals = many(300)
    counts = [len(render(signals[:n], template, tokenizer, 700).shown) for n in range(100, 300)]
    assert min(counts) >= max(counts) * 2 / 3 - 1


def test_it_does_not_matter_how_many_older_signals_are_still_stored(
    template: Template, tokenizer: Tokenizer
) -> None:
    signals = many(200)
    whole = render(signals, template, tokenizer, BUDGET)
    assert render(signals[100:], template, tokenizer, BUDGET) == whole


def test_the_newest_signal_is_always_shown(template: Template, tokenizer: Tokenizer) -> None:
    for count in range(1, 80):
        assert render(many(count), template, tokenizer, BUDGET).shown[-1].id == f"id{count - 1}"


def test_a_budget_below_the_fixed_words_is_a_configuration_error(
    template: Template, tokenizer: Tokenizer
) -> None:
    with pytest.raises(ConfigurationError, match="raise prompt_budget"):
        render([], template, tokenizer, 10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signal": "{n}. {domain}:\n"}, "signal: needs {text} once"),
        ({"signal": "{text}"}, "line break"),
        ({"signal": "{text} ({domain})\n"}, "needs {domain} before {text}"),
        ({"domains": {"search": "searched"}}, "no word for browse"),
        ({"colour": "red"}, "colour"),
        ({"max_tokens": 3}, "max_tokens"),
    ],
)
def test_a_wrong_template_is_refused_by_file_and_field(
    tmp_path: Path, template: Template, change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(yaml.safe_dump({**template.model_dump(mode="json"), **change}))
    with pytest.raises(ConfigurationError) as caught:
        load_template(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_template_survives_the_file(tmp_path: Path, template: Template) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(yaml.safe_dump(template.model_dump(mode="json")))
    assert load_template(path) == template


@pytest.mark.parametrize("content", ["", "{}", "not json"])
def test_a_broken_tokenizer_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json"):
        Tokenizer.load(path)
    with pytest.raises(ConfigurationError, match="nowhere"):
        Tokenizer.load(tmp_path / "nowhere.json")
