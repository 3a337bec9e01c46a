"""What Redis sends again is not read again, and nothing else is ever taken for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.records import KeptList, Query, Signal, UserState
from service.signals.codec import encode, encode_list, read_state
from service.signals.states import States

LIST = KeptList("s", "f00d", 7, (Query("eclipse"),))

Reply = tuple[list[bytes], list[bytes], bytes, int]


def reply(*texts: str, tombstone: bytes = b"", wrong: int = 0) -> Reply:
    members = [encode(Signal(5, "search", text, f"e{text}")) for text in texts]
    signals = [part for member in members for part in (member, b"5")]
    return signals, [b"s", encode_list(LIST)], tombstone, wrong


def copied(one: Reply) -> Reply:
    """The same bytes once more, as another answer of Redis brings them."""
    signals, lists, tombstone, wrong = one
    again = [[bytes(bytearray(part)) for part in parts] for parts in (signals, lists)]
    return again[0], again[1], bytes(bytearray(tombstone)), wrong


few = st.lists(st.sampled_from([b"", b"e {}", b'e {"d":"news","t":"x"}', b"5", b"6"]), max_size=4)
replies = st.tuples(
    few.map(lambda parts: parts[: len(parts) // 2 * 2]),
    few.map(lambda parts: parts[: len(parts) // 2 * 2]),
    st.sampled_from([b"", b"5", b"9"]),
    st.integers(0, 2),
)


def numbers(one: Reply) -> Reply:
    """With something readable as a score beside every member."""
    signals, lists, tombstone, wrong = one
    scores = [
        part if at % 2 == 0 or part in (b"5", b"6") else b"4" for at, part in enumerate(signals)
    ]
    return scores, lists, tombstone, wrong


@given(st.lists(replies.map(numbers), max_size=30), st.integers(0, 200))
def test_every_state_is_what_its_own_bytes_say_however_many_were_read(
    several: list[Reply], most_bytes: int
) -> None:
    states = States(most_bytes)
    for at, one in enumerate(several * 2):
        assert states.read(*copied(one), at) == read_state(*one, at)


def test_the_same_bytes_are_the_same_signals_read_at_another_time() -> None:
    states, one = States(), reply("a", "b")
    first, second = states.read(*one, 10), states.read(*copied(one), 20)
    assert (first.read_at_ms, second.read_at_ms) == (10, 20)
    assert second.signals is first.signals
    assert second.kept is first.kept


def test_a_deletion_hides_what_was_read_before_it() -> None:
    states = States()
    assert states.read(*reply("a"), 10).signals
    assert states.read(*reply("a", tombstone=b"9"), 20) == UserState((), (), 0, 20)


def test_what_cannot_be_read_is_counted_each_time() -> None:
    states = States()
    signals, lists, tombstone, _ = reply("a")
    for _ in range(2):
        assert states.read([*signals, b"x", b"1"], lists, tombstone, 1, 10).corrupt == 2


def test_the_states_that_were_used_least_recently_give_way() -> None:
    one, other, third = reply("a"), reply("b"), reply("c")
    states = States(most_bytes=500)  # room for two
    kept = states.read(*one, 1).signals
    states.read(*other, 1)
    assert states.read(*copied(one), 2).signals is kept
    states.read(*third, 3)
    assert states.read(*copied(one), 4).signals is kept
    again = states.read(*copied(other), 5).signals
    assert states.read(*copied(other), 6).signals is again


def test_nothing_is_kept_where_nothing_may_be() -> None:
    states = States(0)
    first = states.read(*reply("a"), 1)
    assert states.read(*copied(reply("a")), 1).signals is not first.signals
