"""What a gateway writes into the streams is what an export reads."""

from __future__ import annotations

import math
from dataclasses import replace

from service.events.export.entries import End, Entry, Exposure, Feedback, Object, read_entry
from service.events.export.rows import exposure_row
from service.events.exposures import ending, exposure
from service.events.feedback import Feedback as Sent
from service.events.feedback import Taken
from service.identity import Identity, named
from service.records import Candidate
from tests.unit.service.events.test_exposures import ANSWER, HIT


def read(kind: str, data: bytes) -> Object:
    found = read_entry([b"1700-3", [b"k", kind.encode(), b"d", data]], "events:{0}")
    assert isinstance(found, Entry), found
    assert found.id == (1700, 3)
    return found.object


def test_an_answer_of_a_gateway_is_read() -> None:
    found = read("x", exposure(ANSWER, 1_700, 2**32 - 1, 2**32 - 1))
    assert isinstance(found, Exposure)
    row = exposure_row(found)
    assert (row["request_id"], row["at"], row["sequence"]) == ("r", 1_700, 2**32 - 1)
    assert row["placements"][0]["reason"] == "generation_timeout"
    assert [one["matched"] for one in row["candidates"].rows()] == [[0, 1], []]


def test_numbers_without_end_are_none() -> None:
    answer = replace(ANSWER, candidates=(Candidate(HIT.headline, math.inf),))
    found = read("x", exposure(answer, 1, 1, 1))
    assert isinstance(found, Exposure)
    assert found.scores == [None]


def test_feedback_and_ends_of_a_gateway_are_read() -> None:
    name = Identity(b"secret").request_id("maya")
    for sent in (
        Sent("e1", name, "maya", "click", "a-1", 1_700),
        Sent("e2", name, "maya", "dwell", "a-1", 1_700, 2**40),
    ):
        found = read("f", Taken(sent, named(name)).data())
        assert isinstance(found, Feedback)
        given = (found.event, found.id, found.user, found.kind, found.article, found.at)
        assert given == (sent.event_id, name, "maya", sent.kind, "a-1", 1_700)
        assert found.dwell_ms == sent.dwell_ms
    assert read("e", ending(1_700, 3, 0)) == End(1, 3, 0, 1_700)
