"""The order of examples: batches of like lengths, in no order themselves."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.training.sft.examples import Example
from models.training.sft.train import in_batches


def example(number: int, length: int) -> Example:
    return Example(str(number), (1,) * length, (2,), (), ())


LENGTHS = st.lists(st.integers(1, 300), max_size=200)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 3))
def test_every_example_is_there_once_and_the_order_is_the_seeds(
    lengths: list[int], batch: int, seed: int
) -> None:
    examples = [example(i, length) for i, length in enumerate(lengths)]
    ordered = in_batches(examples, batch, seed)
    assert sorted(taught.user for taught in ordered) == sorted(made.user for made in examples)
    assert ordered == in_batches(examples, batch, seed)


def batches_of(examples: list[Example]) -> list[list[int]]:
    """Lengths of prompts, eight to a batch."""
    lengths = [len(example.prompt) for example in examples]
    return [lengths[start : start + 8] for start in range(0, len(lengths), 8)]


def padding(batches: list[list[int]]) -> int:
    return sum(max(batch) * len(batch) - sum(batch) for batch in batches)


def test_a_batch_holds_like_lengths_and_batches_do_not_go_from_long_to_short() -> None:
    examples = [example(i, 40 + (i * 37) % 160) for i in range(800)]
    ordered = in_batches(examples, 8, 1)
    lengths = batches_of(ordered)
    assert padding(lengths) < 0.3 * padding(batches_of(examples))
    ends = [batch[0] for batch in lengths]
    falls = sum(a > b for a, b in pairwise(ends))
    assert 0.35 * len(ends) < falls < 0.65 * len(ends)
