"""vLLM's completions protocol, without the network: a request's body, a stream's events.

Protocol: https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html#completions-api
Prompts go as token ids. The answer is a stream of server-sent events, each one line of JSON; the
last but one carries the usage, the last is `[DONE]`. Closing the connection aborts the call.
"""

from __future__ import annotations

import orjson

from service.generation.engines.calls import Call, Completion, EngineFailed, Sample

_DONE = b"[DONE]"


class EventLines:
    """Cuts a byte stream into the data of its server-sent events, however the bytes arrive.

    Only what these servers send is understood: events of a single `data:` line (WHATWG HTML,
    section 9.2, has more). Comments and other fields are passed over.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that are complete now."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        return [line[5:].strip() for line in lines if line.startswith(b"data:")]


class StreamedSamples:
    """The transcript of one call: `n` samples growing side by side."""

    def __init__(self, n: int, prompt_tokens: int) -> None:
        self._texts: list[list[str]] = [[] for _ in range(n)]
        self._over = [False] * n
        self._stopped = [False] * n
        self._pieces = 0
        self._prompt_tokens = prompt_tokens
        self._cached_tokens = 0
        self._output_tokens: int | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """True once `[DONE]` has come."""
        return self._ended

    @property
    def has_text(self) -> bool:
        """True once any sample has a letter or a mark in it."""
        return any(piece.strip() for texts in self._texts for piece in texts)

    def add(self, payload: bytes) -> None:
        """Take one event. Raises `EngineFailed` where the engine reports an error, or nonsense."""
        if payload == _DONE:
            self._ended = True
            return
        try:
            event = orjson.loads(payload)
            if "error" in event:
                raise EngineFailed(f"broke off: {message_of(event)}")
            for choice in event["choices"]:
                index = choice["index"]
                if text := choice["text"]:
                    self._texts[index].append(text)
                    self._pieces += 1
                if (reason := choice["finish_reason"]) is not None:
                    self._over[index] = True
                    self._stopped[index] = reason == "stop"
            if usage := event.get("usage"):
                self._prompt_tokens = usage["prompt_tokens"]
                self._output_tokens = usage["completion_tokens"]
                details = usage.get("prompt_tokens_details") or {}
                self._cached_tokens = details.get("cached_tokens") or 0
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError) as error:
            raise EngineFailed(f"sent an event that is no completion chunk: {error!r}") from error

    def completion(self, engine: str) -> Completion:
        """What has come so far; `finished` if all samples are over."""
        texts = ("".join(texts) for texts in self._texts)
        return Completion(
            samples=tuple(map(Sample, texts, self._stopped)),
            finished=all(self._over),
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            output_tokens=self._pieces if self._output_tokens is None else self._output_tokens,
            engine=engine,
        )


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


def message_of(body: object) -> str:
    """The message in an OpenAI-style error body, shortened."""
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, dict):
            return str(inner.get("message", "no message"))[:200]
    return str(body)[:200]
