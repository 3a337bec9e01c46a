"""What was made of an object is found again for that object, and for no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.remembered import Remembered, remembered


def test_an_equal_object_is_not_the_same_one() -> None:
    kept: Remembered[str] = Remembered()
    first, twin = [1], [1]
    kept.put("made", (first,))
    assert kept.get((first,)) == "made"
    assert kept.get((twin,)) is None


def test_values_are_compared_beside_the_objects() -> None:
    kept: Remembered[str] = Remembered()
    one = object()
    kept.put("of ten", (one,), 10)
    assert kept.get((one,), 10) == "of ten"
    assert kept.get((one,), 11) is None


def test_the_least_used_gives_way() -> None:
    kept: Remembered[int] = Remembered(2)
    a, b, c = object(), object(), object()
    kept.put(1, (a,))
    kept.put(2, (b,))
    kept.get((a,))
    kept.put(3, (c,))
    assert [kept.get((one,)) for one in (a, b, c)] == [1, None, 3]


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 8))
def test_no_object_gets_what_was_made_of_one_that_is_gone(numbers: list[int], most: int) -> None:
    made = remembered(lambda given: given[0], most)
    for number in numbers:
        # A list that nobody holds leaves its identity to the next one, unless it is remembered.
        assert made([number]) == number


def test_it_is_made_once_for_an_object() -> None:
    calls = []
    made = remembered(lambda given: calls.append(given) or len(given))
    text = ["word"]
    assert (made(text), made(text)) == (1, 1)
    assert len(calls) == 1
