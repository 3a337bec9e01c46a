from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.records import DOMAINS, KeptList, Query, Signal
from service.signals.codec import (
    MEMBER_BYTES,
    CorruptEntry,
    decode,
    decode_list,
    encode,
    encode_list,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=600)
short = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
weights = st.floats(min_value=1e-6, max_value=100.0)
signals = st.builds(
    Signal,
    at_ms=st.integers(0, 2**53),
    domain=st.sampled_from(DOMAINS),
    text=texts,
    id=short.filter(lambda one: len(one.encode()) <= 40),
    item=st.none() | short,
    category=st.none() | short,
    weight=weights,
)


@given(signals)
def test_a_signal_survives_the_round_trip_but_for_text_that_has_no_room(signal: Signal) -> None:
    member = encode(signal)
    assert len(member) <= MEMBER_BYTES
    back = decode(member, float(signal.at_ms))
    assert signal.text.startswith(back.text)
    assert replace(back, text=signal.text) == signal
    if len(orjson.dumps(signal.text)) < 100:
        assert back.text == signal.text


@given(st.binary(max_size=600), st.floats())
def test_any_bytes_are_a_signal_or_corrupt_and_nothing_else(member: bytes, score: float) -> None:
    with suppress(CorruptEntry):
        assert isinstance(decode(member, score), Signal)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers(-9, 9) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from("dtucw"), inner, max_size=5)
        ),
        max_leaves=8,
    )
)
def test_any_payload_is_a_signal_or_corrupt_and_nothing_else(payload: object) -> None:
    with suppress(CorruptEntry):
        assert isinstance(decode(b"id " + orjson.dumps(payload), 1.0), Signal)


def test_a_long_text_is_cut_between_characters_at_512_bytes() -> None:
    signal = Signal(1, "search", "🔭" * 300, "e1")
    member = encode(signal)
    assert MEMBER_BYTES - 4 < len(member) <= MEMBER_BYTES
    assert set(decode(member, 1).text) == {"🔭"}


def test_the_member_is_the_id_a_space_and_short_json() -> None:
    signal = Signal(1, "news", "Title", "a 1%", item="N1", category="space", weight=0.5)
    assert encode(signal) == b'a%201%25 {"d":"news","t":"Title","u":"N1","c":"space","w":0.5}'
    assert encode(Signal(1, "video", "T", "e")) == b'e {"d":"video","t":"T"}'


def test_unknown_fields_of_newer_writers_are_passed_over() -> None:
    assert decode(b'e {"d":"video","t":"T","z":[1]}', 7.0) == Signal(7, "video", "T", "e")


@pytest.mark.parametrize(
    ("signal", "field"),
    [
        (Signal(1, "news", "t", ""), "signals[3].id"),
        (Signal(1, "news", "t", "i" * 129), "signals[3].id"),
        (Signal(1, "news", "t", "i", item="ü" * 65), "signals[3].item"),
        (Signal(1, "news", "t", "i" * 128, item="\x00" * 128), "signals[3].item"),
        (Signal(1, "news", "t", "i", weight=0.0), "signals[3].weight"),
        (Signal(1, "news", "t", "i", weight=math.nan), "signals[3].weight"),
        (Signal(1, "news", "\ud800", "i"), "signals[3]"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_field(signal: Signal, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        encode(signal, 3)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"id",
        b' {"d":"news","t":"x"}',
        b"id []",
        b'id {"d":"food","t":"x"}',
        b'id {"d":"news"}',
        b'id {"d":"news","t":1}',
        b'id {"d":"news","t":"x","w":0}',
        b'id {"d":"news","t":"x","w":true}',
        b'id {"d":"news","t":"x","u":1}',
        b'id {"d":"news","t":"\xff"}',
        b'\xff {"d":"news","t":"x"}',
        b'id {"d":"news","t":"' + b"x" * 600 + b'"}',
    ],
)
def test_corrupt_members_are_told_apart(member: bytes) -> None:
    with pytest.raises(CorruptEntry):
        decode(member, 1.0)


@pytest.mark.parametrize("weight", [101, 1e6, 1e308])
def test_a_weight_beyond_the_most_is_taken_as_the_most(weight: float) -> None:
    member = b"id " + orjson.dumps({"d": "news", "t": "x", "w": weight})
    assert decode(member, 1.0).weight == 100.0
    kept = decode_list(
        b"s", orjson.dumps({"at": 1, "fp": "f", "q": [["t", weight, "student", []]]})
    )
    assert kept.queries[0].weight == 100.0


@pytest.mark.parametrize("score", [-1.0, math.inf, math.nan, 2.0**60])
def test_a_score_that_is_no_time_is_corrupt(score: float) -> None:
    with pytest.raises(CorruptEntry):
        decode(b'id {"d":"news","t":"x"}', score)


queries = st.builds(
    Query,
    text=texts,
    weight=weights,
    origin=st.sampled_from(["student", "signal", "heuristic"]),
    signals=st.lists(short, max_size=3).map(tuple),
)


@given(short, texts, st.integers(0, 2**53), st.lists(queries, max_size=8).map(tuple))
def test_a_kept_list_survives_the_round_trip(
    student: str, fingerprint: str, made_at_ms: int, written: tuple[Query, ...]
) -> None:
    kept = KeptList(student, fingerprint, made_at_ms, written)
    assert decode_list(student.encode(), encode_list(kept)) == kept


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"{}",
        b'{"at":"1","fp":"f","q":[]}',
        b'{"at":1,"fp":"f","q":[["t",1]]}',
        b'{"at":1,"fp":"f","q":[["t",1,"nobody",[]]]}',
        b'{"at":1,"fp":"f","q":[["t",1,["student"],[]]]}',
        b'{"at":1,"fp":"f","q":[["t",-1,"student",[]]]}',
        b'{"at":1,"fp":"f","q":[["t",1,"student",[1]]]}',
        b'{"at":1,"fp":"f","q":[["t",1,"student","ab"]]}',
    ],
)
def test_corrupt_lists_are_told_apart(value: bytes) -> None:
    with pytest.raises(CorruptEntry):
        decode_list(b"student", value)
