"""How many articles of a stretch of time hold a word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.simulation.usage import Usage

texts = st.lists(st.text("abc ", max_size=12), max_size=12)


def test_a_text_counts_once_and_by_stems() -> None:
    usage = Usage.of(["A ferry, two ferries", "bread", "The ferry"])
    assert usage.within("ferri", 0, 3) == 2
    assert usage.within("ferri", 1, 3) == 1
    assert usage.within("opera", 0, 3) == 0


@given(texts, st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_neighbouring_stretches_add_up(said: list[str], a: int, b: int, c: int) -> None:
    first, middle, last = sorted((a, b, c))
    usage = Usage.of(said)
    for stem in usage.positions:
        parts = usage.within(stem, first, middle) + usage.within(stem, middle, last)
        assert usage.within(stem, first, last) == parts
