"""Request ids can be checked by who holds the secret; hashed user ids can be logged."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.identity import Identity, named

user_ids = st.text(min_size=1, max_size=128)


@given(user_ids)
def test_a_request_id_is_valid_for_its_user_and_any_holder_of_the_secret(user_id: str) -> None:
    request_id = Identity(b"secret").request_id(user_id)
    assert Identity(b"secret").verified(request_id, user_id)
    assert not Identity(b"other").verified(request_id, user_id)
    assert not Identity(b"secret").verified(request_id, user_id + "x")


@given(st.text(max_size=60))
def test_a_made_up_request_id_is_refused(request_id: str) -> None:
    assert not Identity(b"secret").verified(request_id, "u")


def test_a_changed_character_makes_a_request_id_invalid() -> None:
    """The last as well, of whose six bits only two belong to the id: an id has one spelling."""
    identity = Identity(b"secret")
    request_id = identity.request_id("u")
    for at in range(len(request_id)):
        other = "A" if request_id[at] != "A" else "B"
        assert not identity.verified(request_id[:at] + other + request_id[at + 1 :], "u")


@pytest.mark.parametrize("more", ["=", "==", " ", "\n", "*", "A"])
def test_an_id_with_something_more_is_another(more: str) -> None:
    identity = Identity(b"secret")
    request_id = identity.request_id("u")
    assert not identity.verified(request_id + more, "u")
    assert not identity.verified(more + request_id, "u")


def test_request_ids_of_one_process_differ() -> None:
    identity = Identity()
    assert len({identity.request_id("u") for _ in range(100)}) == 100


@pytest.mark.parametrize("user_id", ["maya", "a{b}%", "🦊", "00c0ffee00c0ffee"])
def test_a_hashed_user_id_is_the_same_for_a_secret_and_tells_nothing_without_it(
    user_id: str,
) -> None:
    hashed = Identity(b"secret").user_hash(user_id)
    assert re.fullmatch("[0-9a-f]{16}", hashed)
    assert Identity(b"secret").user_hash(user_id) == hashed
    assert Identity(b"other").user_hash(user_id) != hashed
    assert hashed != user_id


@given(user_ids)
def test_a_request_id_names_its_time_its_process_and_its_number(user_id: str) -> None:
    identity = Identity(b"secret")
    for number in range(3):
        request_id = identity.request_id(user_id)
        name = identity.verified(request_id, user_id)
        assert name == named(request_id)
        assert (name.process, name.sequence) == (identity.process, number)
    assert identity.sequence == 3


@pytest.mark.parametrize("text", ["", "maya", "A" * 37, "A" * 39, "!" * 38])
def test_what_is_no_request_id_names_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="no request id"):
        named(text)
