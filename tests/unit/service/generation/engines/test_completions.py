"""The protocol without a network."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.generation.engines.calls import Call, EngineFailed, EngineRefused
from service.generation.engines.completions import EventLines, StreamedSamples, request_body
from service.records import Decoding


def chunk(index: int, text: str, reason: str | None = None) -> bytes:
    return orjson.dumps(
        {"choices": [{"index": index, "text": text, "finish_reason": reason, "logprobs": None}]}
    )


@given(
    events=st.lists(st.binary(max_size=20).map(lambda b: b.hex().encode()), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=12),
    end=st.sampled_from([b"\n\n", b"\r\n\r\n"]),
)
def test_events_come_out_whole_however_the_bytes_arrive(
    events: list[bytes], cuts: list[int], end: bytes
) -> None:
    wire = b": a comment" + end + b"".join(b"data: " + event + end for event in events)
    lines, got, at = EventLines(), [], 0
    for cut in [*sorted(cut for cut in cuts if cut < len(wire)), len(wire)]:
        got += lines.feed(wire[at:cut])
        at = cut
    assert got == events


def test_samples_grow_side_by_side_and_usage_is_taken_over() -> None:
    samples = StreamedSamples(2, prompt_tokens=3)
    for event in (
        chunk(1, "b"),
        chunk(0, "a"),
        chunk(0, "A", "stop"),
        chunk(1, "B", "length"),
        b'{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":9,'
        b'"prompt_tokens_details":{"cached_tokens":2}}}',
        b"[DONE]",
    ):
        samples.add(event)
    made = samples.completion("http://e")
    assert samples.ended
    assert [s.text for s in made.samples] == ["aA", "bB"]
    assert [s.finished for s in made.samples] == [True, False], "cut by max_tokens: half a line"
    assert made.finished
    assert (made.prompt_tokens, made.cached_tokens, made.output_tokens) == (4, 2, 9)


def test_a_partial_completion_says_so_and_counts_what_it_saw() -> None:
    samples = StreamedSamples(1, prompt_tokens=3)
    assert not samples.has_text
    samples.add(chunk(0, " \n"))
    assert not samples.has_text, "white space is no text"
    samples.add(chunk(0, "storm"))
    made = samples.completion("http://e")
    assert samples.has_text
    assert not made.finished
    assert not made.samples[0].finished
    assert (made.prompt_tokens, made.output_tokens) == (3, 2)


@pytest.mark.parametrize(
    "event",
    [b"{", b"[]", b"7", b'{"choices":[{"index":5,"text":"x","finish_reason":null}]}', b"{}"],
)
def test_nonsense_is_the_engines_failure(event: bytes) -> None:
    with pytest.raises(EngineFailed):
        StreamedSamples(1, 1).add(event)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            {"message": "tell nobody", "type": "InternalServerError", "code": 500},
            "InternalServerError",
        ),
        ({"message": "tell nobody", "code": 500}, "an error without a type"),
        ({"message": "tell nobody", "type": "tell nobody"}, "an error without a type"),
        ("tell nobody", "an error without a type"),
        (["tell nobody"], "an error without a type"),
    ],
)
def test_of_an_error_in_the_stream_its_kind_is_told_and_not_its_words(
    error: object, told: str
) -> None:
    with pytest.raises(EngineFailed) as raised:
        StreamedSamples(1, 1).add(orjson.dumps({"error": error}))
    assert str(raised.value) == f"broke off: {told}"


def test_the_body_carries_ids_and_decoding() -> None:
    decoding = Decoding(temperature=0.5, top_p=0.9, max_tokens=9, n=3, stop=("END",))
    body = orjson.loads(request_body(Call((1, 2), "m", decoding, "u")))
    assert body["prompt"] == [1, 2]
    assert body["stream_options"] == {"include_usage": True}
    assert (body["n"], body["stop"], body["max_tokens"]) == (3, ["END"], 9)
    assert "u" not in body.values(), "who asks is not the engine's business"


NONSENSE = (
    '{"choices":[{"index":0,"text":5,"finish_reason":null}]}',
    '{"choices":[{"index":0,"text":["a"],"finish_reason":null}]}',
    '{"choices":[{"index":-1,"text":"a","finish_reason":null}]}',
    '{"choices":[{"index":1,"text":"a","finish_reason":null}]}',
    '{"choices":[{"index":true,"text":"a","finish_reason":null}]}',
    '{"choices":[{"index":0,"text":"a","finish_reason":7}]}',
    '{"choices":[{"index":0,"text":"a"}]}',
    '{"choices":[5]}',
    '{"choices":5}',
    '{"choices":[],"usage":5}',
    '{"choices":[],"usage":{"prompt_tokens":"4","completion_tokens":9}}',
    '{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":-9}}',
    '{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":9,"prompt_tokens_details":[1]}}',
    "[]",
    "5",
    "null",
    "not json",
    "",
)


@pytest.mark.parametrize("event", NONSENSE)
def test_an_event_that_is_no_chunk_is_the_engines_fault_and_leaves_a_readable_transcript(
    event: str,
) -> None:
    samples = StreamedSamples(1, prompt_tokens=3)
    samples.add(chunk(0, "whole line\n"))
    with pytest.raises(EngineFailed, match="no completion chunk"):
        samples.add(event.encode())
    assert samples.completion("e").samples[0].text == "whole line\n"


def test_an_engine_that_ends_at_once_has_written_nothing() -> None:
    samples = StreamedSamples(1, prompt_tokens=3)
    samples.add(b"[DONE]")
    made = samples.completion("e")
    assert (made.finished, made.samples[0].text, made.samples[0].finished) == (False, "", False)


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("stop", None),
        ("length", None),
        ("abort", EngineFailed("ended a call with abort")),
        ("error", EngineFailed("ended a call with error")),
        (None, EngineFailed("ended a call with no finish_reason")),
        ("content_filter", EngineRefused("ended a call with content_filter")),
        ("", EngineRefused("ended a call with an unknown finish_reason")),
        ("words of a prompt", EngineRefused("ended a call with an unknown finish_reason")),
    ],
)
def test_only_stop_and_length_are_ends_of_a_sample(
    reason: str | None, fault: Exception | None
) -> None:
    """Of two samples the other one is whole: one that was cut off is enough."""
    samples = StreamedSamples(2, prompt_tokens=3)
    for event in (chunk(0, "a", "stop"), chunk(1, "b\nc", reason), b"[DONE]"):
        samples.add(event)
    made = samples.completion("e")
    assert (type(samples.cut_short), str(samples.cut_short)) == (type(fault), str(fault))
    assert made.finished is (fault is None)
    assert made.cut_by_engine is (fault is not None)
    assert made.samples[1].finished is (reason == "stop")


def test_more_than_was_asked_for_is_not_taken() -> None:
    lines = EventLines()
    for _ in range(4):
        assert lines.feed(b"x" * 65_536) == []
    with pytest.raises(EngineFailed, match="more than 256 KiB"):
        lines.feed(b"x")
    samples = StreamedSamples(1, prompt_tokens=3, max_tokens=4)
    for _ in range(4):
        samples.add(chunk(0, "a" * 256))
    with pytest.raises(EngineFailed, match="far more than was asked for"):
        samples.add(chunk(0, "a"))
    assert len(samples.completion("e").samples[0].text) == 4 * 256
