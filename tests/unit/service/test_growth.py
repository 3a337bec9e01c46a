"""What users write is read in a time that grows with its length, not with the length's square.

Times are compared with each other only: sixteen times the text may take a few times sixteen times
as long, where a square would take 256 times as long.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import count
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.api.schemas import InterestsIn
from service.generation.consensus import consensus
from service.generation.heuristic import heuristic_queries
from service.generation.own import beside, own_queries
from service.generation.queries import queries_in
from service.records import Domain, Query, Signal
from service.retrieval.titles import TitleIndex
from service.signals.codec import encode
from service.signals.merge import signal_id
from service.signals.untrusted import marker_pattern, neutralise
from service.words.markup import plain
from service.words.noise import telling_words
from service.words.text import clean, shorten, stems, words

SHORT, LONGER = 1_000, 16_000
MOST_GROWTH = 96.0
"""Between sixteen and its square, nearer to the first: clocks of shared machines jitter."""
NUMBERS = count()
UNNOTICED_S = 0.004
"""Below it a time is start-up and jitter."""

NASTY = (
    "a.a.",
    "a-a-",
    "a'a'",
    "aaaa",
    "1.1.",
    "1x1x",
    "http://",
    "www.",
    "#1 ",
    "((",
    "- ",
    "| x ",
    "<b ",
    "<b a=",
    "<b a='",
    '<b a="x" ',
    "<p>",
    "<b>>",
    "&amp;",
    "&amp;lt;",
    "&#1",
)
MARKERS = marker_pattern(("Searches:", "<|im_end|>"))


def signals_of(text: str, count: int = 1) -> list[Signal]:
    return [Signal(i, "search", f"{text}{i}", f"s{i}") for i in range(count)]


def domains() -> tuple[Domain, ...]:
    found: tuple[Domain, ...] = get_args(Domain)
    return found


def read_titles(text: str) -> None:
    index = TitleIndex(0.7)
    for cut in range(4):
        index.add(text[cut:])


READERS: dict[str, Callable[[str], object]] = {
    **{
        f"telling words, {domain}": lambda text, d=domain: (
            telling_words.__wrapped__(text, d)
            if hasattr(telling_words, "__wrapped__")
            else telling_words(text, d)
        )
        for domain in domains()
    },
    "clean": clean,
    "plain": plain,
    "words": words,
    "stems": lambda text: stems.__wrapped__(text),
    "shorten": lambda text: shorten(text, 16, 160),
    "neutralise": lambda text: neutralise(text, MARKERS, 200),
    "a student's output": lambda text: queries_in(
        text, signals_of("ferry"), finished=True, max_queries=32
    ),
    "heuristic": lambda text: heuristic_queries(signals_of(text, 8), 8),
    "own queries": lambda text: own_queries(signals_of(text, 8), 12, 1.0),
    "own beside a list": lambda text: beside((Query(text[:160]),), signals_of(text, 8), 12, 1.0),
    "consensus": lambda text: consensus([[Query(text)], [Query(text[1:])]], 8),
    "titles": read_titles,
    "storing": lambda text: encode(Signal(0, "search", text, "e")),
    "ids": lambda text: signal_id("search", 0, text, None),
}


def seconds(read: Callable[[str], object], text: str) -> float:
    best = float("inf")
    for _ in range(3):
        new = f"{text} {next(NUMBERS)}"  # or a cache would have read it
        started = time.process_time()
        read(new)
        best = min(best, time.process_time() - started)
    return best


def assert_grows_with_length(read: Callable[[str], object], unit: str) -> None:
    short, longer = unit * (SHORT // len(unit)), unit * (LONGER // len(unit))
    took = seconds(read, longer)
    if took > UNNOTICED_S:
        growth = took / max(seconds(read, short), UNNOTICED_S / 16)
        assert growth < MOST_GROWTH, f"{unit!r} × 16 takes {growth:.0f} times as long"


@pytest.mark.parametrize("unit", NASTY)
@pytest.mark.parametrize("reader", READERS)
def test_known_traps_are_read_once(reader: str, unit: str) -> None:
    assert_grows_with_length(READERS[reader], unit)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(READERS)),
    st.text("aA1é漢 .,:;/\\-_#|–—'’\"“()[]{}<>@&%\u200b\u0301\n", min_size=1, max_size=6),
)
def test_anything_repeated_is_read_once(reader: str, unit: str) -> None:
    assert_grows_with_length(READERS[reader], unit)


def test_this_test_sees_a_square() -> None:
    quadratic = re.compile(r"\b[\w-]+(?:\.[\w-]+)*\.(?:com|org)")
    with pytest.raises(AssertionError, match="times as long"):
        assert_grows_with_length(lambda text: quadratic.sub(" ", text), "a.a.")


def test_many_signals_alike_are_compared_a_bounded_number_of_times() -> None:
    """Every word of every text in common: pairs of signals are what could grow."""
    long = " ".join(f"word{i}" for i in range(400))
    few, many = signals_of(long, 16), signals_of(long, 64)
    growth = seconds(lambda _: heuristic_queries(many, 8), "") / seconds(
        lambda _: heuristic_queries(few, 8), ""
    )
    assert growth < 24  # 4 for the signals, 16 for their pairs


def test_keys_that_are_unknown_cost_no_error_each() -> None:
    body = {"user_id": "maya", **{f"key{i}": 0 for i in range(50_000)}}
    with pytest.raises(ValueError, match="unknown") as raised:
        InterestsIn.model_validate(body)
    assert raised.value.error_count() == 1  # type: ignore[attr-defined]
