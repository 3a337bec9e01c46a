"""vLLM's completions protocol, without the network: a request's body, a stream's events.

Protocol: https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html#completions-api
Prompts go as token ids. The answer is a stream of server-sent events, each one line of JSON; the
last but one carries the usage, the last is `[DONE]`. Closing the connection aborts the call.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

import orjson

from service.generation.engines.calls import (
    Call,
    Completion,
    EngineFailed,
    EngineRefused,
    Sample,
)

_DONE = b"[DONE]"
MAX_EVENT_BYTES = 256 * 1024
"""Of one event; vLLM's, with no log-probabilities asked for, have some hundred."""
_BYTES_A_TOKEN = 4 * 1024
"""Of a whole stream for each token asked for: an event each, and room to spare."""
_CHARS_A_TOKEN = 256
"""Of the text: no tokenizer's longest token has so many."""
_ENDS = frozenset({"stop", "length"})
"""Values of `finish_reason` with which a sample is whole. Any other is no end of its own."""
_BREAKS = frozenset({"abort", "error"})
"""vLLM's for calls that it drops when it shuts down, and for those that fail."""
_NAME = re.compile(r"[A-Za-z_]{1,64}")


class EventLines:
    """Cuts a byte stream into the data of its server-sent events, however the bytes arrive.

    Only what these servers send is understood: events of a single `data:` line (WHATWG HTML,
    section 9.2, has more). Comments and other fields are passed over.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that are complete now.

        Raises `EngineFailed` for a line of more than `MAX_EVENT_BYTES`.
        """
        data = self._rest + data
        lines = data.split(b"\n")
        if len(data) > MAX_EVENT_BYTES and max(map(len, lines)) > MAX_EVENT_BYTES:
            raise EngineFailed(f"sent an event of more than {MAX_EVENT_BYTES // 1024} KiB")
        self._rest = lines.pop()
        return [line[5:].strip() for line in lines if line[:5] == b"data:"]


class StreamedSamples:
    """The transcript of one call: `n` samples growing side by side.

    What the engine sends is taken for what it should be only after a look at it, and only as much
    of it as `n` samples of `max_tokens` can be.
    """

    def __init__(self, n: int, prompt_tokens: int, max_tokens: int = 1_024) -> None:
        self._texts: list[list[str]] = [[] for _ in range(n)]
        self._ends: list[str | None] = [None] * n
        self._pieces = 0
        self._prompt_tokens = prompt_tokens
        self._cached_tokens = 0
        self._output_tokens: int | None = None
        self._ended = False
        self._bytes_left = MAX_EVENT_BYTES + n * max_tokens * _BYTES_A_TOKEN
        self._chars_left = n * max_tokens * _CHARS_A_TOKEN

    @property
    def ended(self) -> bool:
        """True once `[DONE]` has come."""
        return self._ended

    @property
    def cut_short(self) -> EngineFailed | EngineRefused | None:
        """What ails an engine that ended a sample before its own end; None where it did not."""
        for end in self._ends:
            if end in _BREAKS or (end is None and self._ended):
                return EngineFailed(f"ended a call with {end or 'no finish_reason'}")
            if end is not None and end not in _ENDS:
                kind = end if _NAME.fullmatch(end) else "an unknown finish_reason"
                return EngineRefused(f"ended a call with {kind}")
        return None

    @property
    def has_text(self) -> bool:
        """True once any sample has a letter or a mark in it."""
        return any(piece.strip() for texts in self._texts for piece in texts)

    def add(self, payload: bytes) -> None:
        """Take one event. Raises `EngineFailed` where the engine reports an error, sends nonsense,
        or more than was asked for."""
        self._bytes_left -= len(payload)
        if self._bytes_left < 0:
            raise EngineFailed("sent far more than was asked for")
        if payload == _DONE:
            self._ended = True
            return
        try:
            event = orjson.loads(payload)
            if "error" in event:
                raise EngineFailed(f"broke off: {kind_of(event)}")
            for choice in event["choices"]:
                self._take(choice["index"], choice["text"], choice["finish_reason"])
            if usage := event.get("usage"):
                details = usage.get("prompt_tokens_details") or {}
                self._prompt_tokens = _count(usage["prompt_tokens"])
                self._output_tokens = _count(usage["completion_tokens"])
                self._cached_tokens = _count(details.get("cached_tokens") or 0)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineFailed(
                f"sent an event that is no completion chunk: {type(error).__name__}"
            ) from error

    def _take(self, index: object, text: object, reason: object) -> None:
        """One choice of an event. Raises `ValueError` for one that is none of ours."""
        if type(index) is not int or not 0 <= index < len(self._texts):
            raise ValueError("no such sample")
        if not (text is None or isinstance(text, str)):
            raise ValueError("text must be a text")
        if not (reason is None or isinstance(reason, str)):
            raise ValueError("finish_reason must be a text")
        if text:
            self._chars_left -= len(text)
            if self._chars_left < 0:
                raise EngineFailed("sent far more than was asked for")
            self._texts[index].append(text)
            self._pieces += 1
        if reason is not None:
            self._ends[index] = reason

    def completion(self, engine: str) -> Completion:
        """What has come so far; `finished` if every sample has come to its own end."""
        texts = ("".join(texts) for texts in self._texts)
        return Completion(
            samples=tuple(map(Sample, texts, [end == "stop" for end in self._ends])),
            finished=all(end in _ENDS for end in self._ends),
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            output_tokens=self._pieces if self._output_tokens is None else self._output_tokens,
            engine=engine,
            cut_by_engine=self.cut_short is not None,
        )


def _count(value: object) -> int:
    """A number of tokens. Raises `ValueError` for what is none."""
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError("not a number of tokens")
    return value


def request_body(call: Call) -> bytes:
    """The body of `POST /v1/completions` for a call."""
    decoding = call.decoding
    return orjson.dumps(
        {
            "model": call.model,
            "prompt": call.token_ids,
            "n": decoding.n,
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "repetition_penalty": decoding.repetition_penalty,
            "stop": decoding.stop or None,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )


def kind_of(body: object) -> str:
    """What kind of error an OpenAI-style error body says it is, as a name ("BadRequestError").

    Its message is left out: engines repeat prompts in it, and these are what users have done.
    """
    inner = body.get("error", body) if isinstance(body, dict) else None
    kind = inner.get("type") if isinstance(inner, dict) else None
    return kind if isinstance(kind, str) and _NAME.fullmatch(kind) else "an error without a type"


def seconds_of(retry_after: str, now: float) -> float:
    """What a Retry-After asks to wait, in seconds from `now` (since 1970); 0 for none or nonsense.

    It is a number of seconds or a date (RFC 9110, section 10.2.3).
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return 0.0
