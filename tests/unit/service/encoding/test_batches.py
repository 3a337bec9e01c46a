"""Which texts are read together: all of them, in rectangles that waste little."""

from __future__ import annotations

import random

import pytest

from service.encoding.batches import batches


def places(lengths: list[int], found: list[list[int]]) -> list[int]:
    """What each batch takes of a model."""
    return [len(batch) * max(lengths[i] for i in batch) for batch in found]


@pytest.mark.parametrize("count", [0, 1, 20, 500])
def test_every_text_is_read_once(count: int) -> None:
    draw = random.Random(count)
    lengths = [draw.randrange(0, 129) for _ in range(count)]
    assert sorted(i for batch in batches(lengths) for i in batch) == list(range(count))


def test_a_long_text_among_short_ones_stands_alone() -> None:
    assert batches([5, 5, 90, 5, 5]) == [[0, 1, 3, 4], [2]]


def test_texts_of_nearly_one_length_stay_together() -> None:
    assert batches([5, 6, 5, 6]) == [[0, 2, 1, 3]]


def test_no_cut_in_two_would_have_cost_less() -> None:
    draw = random.Random(3)
    for _ in range(50):
        lengths = [draw.randrange(3, 30) for _ in range(12)]
        ordered = sorted(range(12), key=lengths.__getitem__)
        costs = [
            sum(places(lengths, [part for part in (ordered[:cut], ordered[cut:]) if part]))
            + 16 * (2 if cut > 0 else 1)
            for cut in range(12)
        ]
        found = batches(lengths)
        assert sum(places(lengths, found)) + 16 * len(found) <= min(costs)


def test_a_batch_of_several_is_bounded_and_one_text_is_not() -> None:
    lengths = [128] * 100
    assert max(places(lengths, batches(lengths))) <= 768
    assert batches([1000]) == [[0]]
