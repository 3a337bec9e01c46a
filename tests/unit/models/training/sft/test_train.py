"""The order of examples: batches of like lengths, in no order themselves."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.training.sft.examples import Example
from models.training.sft.train import in_batches


def example(number: int, length: int) -> Example:
    return Example(str(number), (1,) * length, (2,), (), 1, ())


LENGTHS = st.lists(st.integers(1, 300), max_size=200)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 3))
def test_every_example_is_there_once_and_the_order_is_the_seeds(
    lengths: list[int], batch: int, seed: int
) -> None:
    examples = [example(i, length) for i, length in enumerate(lengths)]
    ordered = in_batches(examples, batch, seed)
    assert sorted(one.user for one in ordered) == sorted(one.user for one in examples)
    assert ordered == in_batches(examples, batch, seed)


def test_a_batch_holds_like_lengths_and_batches_do_not_go_from_long_to_short() -> None:
    examples = [example(i, 40 + (i * 37) % 160) for i in range(800)]
    ordered = in_batches(examples, 8, 1)
    batches = [[len(one.prompt) for one in ordered[i : i + 8]] for i in range(0, len(ordered), 8)]
    padding = sum(max(one) * 8 - sum(one) for one in batches)
    unordered = [[len(one.prompt) for one in examples[i : i + 8]] for i in range(0, 800, 8)]
    assert padding < 0.3 * sum(max(one) * 8 - sum(one) for one in unordered)
    ends = [one[0] for one in batches]
    falls = sum(a > b for a, b in pairwise(ends))
    assert 0.35 * len(ends) < falls < 0.65 * len(ends)
