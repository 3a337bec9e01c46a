"""Which signals a query is put down to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.records import Query, Run, Signal
from service.retrieval.origins import stems_from
from tests.unit.service.retrieval.fakes import hit

SHOWN = tuple(Signal(n, "search", f"text {n}", f"s{n}") for n in range(4))


def run(origin: str, *ids: str, signals: tuple[str, ...] = (), near: tuple[str, ...] = ()) -> Run:
    query = Query("words", origin=origin, signals=signals)  # type: ignore[arg-type]
    return Run(query, tuple(map(hit, ids)), near=tuple(map(hit, near)))


def test_a_query_that_says_its_signals_is_believed() -> None:
    runs = [run("student", "a", signals=("s2", "s0", "gone")), run("signal", "b", signals=("s3",))]
    assert stems_from(runs, SHOWN) == [[2, 0], [3]]


def test_one_in_words_of_its_own_stems_from_the_signals_that_find_what_it_finds() -> None:
    runs = [
        run("student", "a", "b", "c", near=("d", "e")),
        run("signal", "a", "b", "x", "y", signals=("s1",)),
        run("signal", "z", near=("a", "b", "c", "d"), signals=("s3",)),
        run("signal", "v", "w", signals=("s0",)),
    ]
    assert stems_from(runs, SHOWN)[0] == [3, 1]


def test_it_stems_from_nothing_where_nobody_finds_the_same() -> None:
    runs = [run("student", "a"), run("heuristic"), run("signal", "b", signals=("s1",))]
    assert stems_from(runs, SHOWN) == [[], [], [1]]


def test_an_own_signal_that_the_prompt_did_not_show_is_nothing_to_point_at() -> None:
    runs = [run("student", "a"), run("signal", "a", signals=("old",))]
    assert stems_from(runs, SHOWN) == [[], []]


def test_at_most_three_signals_are_named() -> None:
    own = [run("signal", "a", signals=(f"s{n}",)) for n in range(4)]
    assert len(stems_from([run("student", "a"), *own], SHOWN)[0]) == 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["student", "signal", "heuristic"]),
            st.lists(st.sampled_from("abcdefgh"), unique=True),
            st.lists(st.sampled_from(["s0", "s1", "s9"]), unique=True),
        ),
        max_size=8,
    )
)
def test_places_are_always_those_of_shown_signals(
    made: list[tuple[str, list[str], list[str]]],
) -> None:
    runs = [run(origin, *ids, signals=tuple(signals)) for origin, ids, signals in made]
    found = stems_from(runs, SHOWN)
    assert len(found) == len(runs)
    assert all(0 <= place < len(SHOWN) for places in found for place in places)
