from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.crc import key_slot

from service.errors import InvalidInput
from service.signals.keys import user_keys

users = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=128)


@given(users)
def test_a_users_keys_share_a_slot_and_hold_no_brace_of_the_user(user_id: str) -> None:
    keys = user_keys(user_id)
    names = [keys.signals, keys.lists, keys.tombstone]
    assert len({key_slot(name.encode()) for name in names}) == 1
    assert all(re.fullmatch(r"(sig|int|tomb):\{[A-Za-z0-9._~%-]+\}", name) for name in names)


def own_keys(user_id: str) -> set[str]:
    """All but the stream of changes, which is one of sixteen."""
    keys = user_keys(user_id)
    return {keys.signals, keys.lists, keys.tombstone}


@given(users, users)
@example("a b", "a%20b")
@example("a", "{a}")
def test_two_users_never_share_a_key(one: str, other: str) -> None:
    assert own_keys(one).isdisjoint(own_keys(other)) == (one != other)


def test_the_stream_is_the_crc32_of_the_encoded_id() -> None:
    keys = user_keys("a b")
    assert keys.user == "a%20b"
    assert keys.changes == f"changes:{{{zlib.crc32(b'a%20b') % 16}}}"


@pytest.mark.parametrize("user_id", ["", "x" * 129, "a\nb", "\x00", "\ud800"])
def test_an_unusable_id_is_refused_by_field(user_id: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        user_keys(user_id)
    assert refused.value.field == "user_id"
