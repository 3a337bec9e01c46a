"""Deadlines share themselves out in order; ids are short everywhere or nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.api.schemas import InterestsIn
from service.errors import InvalidInput
from service.limits import ARTICLE_ID_BYTES, Deadline, fits_article_id
from service.records import Signal
from service.signals.codec import encode


@given(started=st.floats(0, 1e6), timeout_ms=st.integers(20, 30_000))
def test_each_stage_ends_before_the_next_and_all_before_the_deadline(
    started: float, timeout_ms: int
) -> None:
    deadline = Deadline(started, started + timeout_ms / 1000)
    ends = [
        deadline.signals_until,
        deadline.generate_until,
        deadline.retrieve_until,
        deadline.at,
    ]
    assert deadline.started < ends[0]
    assert ends == sorted(ends)
    assert len(set(ends)) == 4


@given(st.floats(0, 2), st.integers(20, 30_000))
def test_a_request_that_is_begun_late_still_gives_the_store_half_its_share_if_there_is_time(
    late_s: float, timeout_ms: int
) -> None:
    deadline = Deadline(0.0, timeout_ms / 1000)
    until = deadline.signals_until_begun_at(late_s)
    assert deadline.signals_until <= until <= deadline.generate_until
    if until < deadline.generate_until:
        assert until - late_s >= deadline.signals_until / 2 - 1e-9


def test_a_long_deadline_gives_its_time_to_the_generation() -> None:
    deadline = Deadline(0.0, 30.0)
    assert deadline.signals_until == 0.5
    assert deadline.generate_until > 29


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=140))
def test_an_article_whose_id_is_short_enough_can_be_excluded_and_be_stored_as_read(
    id_: str,
) -> None:
    assert fits_article_id(id_) == (len(id_.encode()) <= ARTICLE_ID_BYTES)
    if not fits_article_id(id_):
        return
    assert InterestsIn(user_id="u", exclude_ids=[id_]).exclude_ids == [id_]
    read = {"domain": "news", "text": "Title", "item": id_}
    assert InterestsIn(user_id="u", signals=[read]).signals[0].item == id_
    if id_.isprintable():  # other letters are longer in JSON than the record has room for
        encode(Signal(1, "news", "Title", "e", item=id_))


def test_a_longer_id_is_refused_by_each_way_in() -> None:
    long = "x" * (ARTICLE_ID_BYTES + 1)
    with pytest.raises(ValidationError, match="exclude_ids"):
        InterestsIn(user_id="u", exclude_ids=[long])
    with pytest.raises(ValidationError, match="item"):
        InterestsIn(user_id="u", signals=[{"domain": "news", "text": "Title", "item": long}])
    with pytest.raises(InvalidInput, match="128 bytes"):
        encode(Signal(1, "news", "Title", "e", item=long))
