"""vLLM's completions and chat protocols as its engine simulator speaks them, without the network.

A call is read with `read_call`; what is sent back is shaped by `events_of` where it is streamed,
and by `whole_answer` where it is not. The shapes are those of vLLM's OpenAI-compatible server.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

_DEFAULT_MAX_TOKENS = 16
"""What the protocol says of a completion that names none."""
_FIRST_OF_TEXT = 1


class Made(Protocol):
    """A sample as far as its shape goes."""

    index: int
    made: int


class BadCall(ValueError):
    """A body that is not served; says why."""


@dataclass(frozen=True, slots=True)
class Call:
    """What of a call's body counts."""

    model: str
    prompts: tuple[tuple[int, ...], ...]
    """Token ids. Of a text there are as many as it has words, behind a first one that all have."""
    max_tokens: int
    n: int
    stream: bool
    with_usage: bool
    """Whether a stream ends with an event of its usage."""
    with_ids: bool
    chat: bool
    json_key: str
    """The list of strings that the answer's JSON schema asks for; empty where text is wanted."""

    @property
    def probe(self) -> bool:
        """Whether it is the shortest of calls, which the gateway sends to see an engine alive."""
        return len(self.prompts) == 1 and len(self.prompts[0]) == 1


def read_call(body: dict[str, Any], *, chat: bool) -> Call:
    """The call in a body. Raises `BadCall` for one without a prompt."""
    prompts = (_of_messages(body),) if chat else _of_prompt(body.get("prompt"))
    if not prompts or not all(prompts):
        raise BadCall("prompt must not be empty")
    wanted = body.get("max_completion_tokens") or body.get("max_tokens") or _DEFAULT_MAX_TOKENS
    return Call(
        model=str(body.get("model", "")),
        prompts=prompts,
        max_tokens=int(wanted),
        n=int(body.get("n") or 1),
        stream=bool(body.get("stream")),
        with_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        with_ids=bool(body.get("return_token_ids")),
        chat=chat,
        json_key=_json_key(body.get("response_format") or {}),
    )


def ids_of(text: str) -> tuple[int, ...]:
    """Token ids of a text: one of each word, behind a first one; none of an empty text."""
    words = text.split()
    return (_FIRST_OF_TEXT, *(zlib.crc32(word.encode()) & 0xFFFF for word in words)) * bool(words)


def _of_prompt(prompt: object) -> tuple[tuple[int, ...], ...]:
    """A text, token ids, or a list of either."""
    if isinstance(prompt, str):
        return (ids_of(prompt),)
    if not isinstance(prompt, list) or not prompt:
        return ()
    if isinstance(prompt[0], int):
        return (tuple(prompt),)
    return tuple([ids_of(one) if isinstance(one, str) else tuple(one) for one in prompt])


def _of_messages(body: dict[str, Any]) -> tuple[int, ...]:
    texts = []
    for message in body.get("messages") or ():
        content = message.get("content") or ""
        parts = [{"text": content}] if isinstance(content, str) else content
        texts += [part.get("text", "") for part in parts]
    return ids_of("\n".join(texts))


def _json_key(wanted: dict[str, Any]) -> str:
    schema = (wanted.get("json_schema") or {}).get("schema") or {}
    return next(iter(schema.get("properties") or ()), "")


class Events:
    """The events of one streamed call."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._base = _base(call, "chat.completion.chunk" if call.chat else "text_completion")

    def start(self, samples: Sequence[Made]) -> bytes:
        """What a stream begins with: whose turn it is, in chats alone."""
        if not self._call.chat:
            return b""
        first = {"delta": {"role": "assistant", "content": ""}, "logprobs": None}
        ends = {"finish_reason": None}
        return b"".join(
            self._event({"choices": [{"index": sample.index, **first, **ends}]})
            for sample in samples
        )

    def chunk(self, sample: Made, text: str, reason: str | None) -> bytes:
        """A token of a sample."""
        said = {"delta": {"content": text}} if self._call.chat else {"text": text}
        choice = {
            "index": sample.index,
            **said,
            "logprobs": None,
            "finish_reason": reason,
            "stop_reason": None,
            "token_ids": [sample.made] if self._call.with_ids else None,
        }
        return self._event({"choices": [choice]})

    def usage(self, samples: Sequence[Made]) -> bytes:
        """The tokens of the whole call, where they are asked for."""
        if not self._call.with_usage:
            return b""
        return self._event({"choices": [], "usage": _usage(self._call, samples)})

    def _event(self, content: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps(self._base | content) + b"\n\n"


def whole_answer(
    call: Call, samples: Sequence[Made], texts: Sequence[str], reasons: Sequence[str | None]
) -> bytes:
    """The body that answers a call which is not streamed."""
    choices = []
    for sample, text, reason in zip(samples, texts, reasons, strict=True):
        said = {"message": {"role": "assistant", "content": text}} if call.chat else {"text": text}
        ends = {"logprobs": None, "finish_reason": reason, "stop_reason": None}
        choices.append({"index": sample.index, **said, **ends})
    base = _base(call, "chat.completion" if call.chat else "text_completion")
    return orjson.dumps(base | {"choices": choices, "usage": _usage(call, samples)})


def _base(call: Call, kind: str) -> dict[str, Any]:
    return {
        "id": f"{'chatcmpl' if call.chat else 'cmpl'}-{time.monotonic_ns():x}",
        "object": kind,
        "created": int(time.time()),
        "model": call.model,
    }


def _usage(call: Call, samples: Sequence[Made]) -> dict[str, Any]:
    given, made = sum(map(len, call.prompts)), sum(sample.made for sample in samples)
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
