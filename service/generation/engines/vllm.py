"""One vLLM server over HTTP: what is asked of it, and its answers. Nothing is retried here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import orjson

from service.addresses import authority_of, http_url
from service.errors import ConfigurationError
from service.generation.engines.calls import (
    Call,
    EngineBusy,
    EngineFailed,
    EngineRefused,
    EngineUnfit,
    Transcript,
)
from service.generation.engines.completions import (
    MAX_EVENT_BYTES,
    EventLines,
    kind_of,
    request_body,
    seconds_of,
)
from service.generation.engines.connections import Answer, Connections
from service.tls import Tls
from service.tracing import UNTRACED, Tracing

# vLLM closes a connection that has been idle for 5 s; one that we reuse must be younger.
_KEEP_ALIVE_S = 3.0
_ERROR_BYTES = 4096
"""Of an error's body that are read."""
Take = Callable[[bytes], None]
"""Is given the body of an answer as it comes."""


class VllmEngine:
    """One vLLM server. Arguments say how to reach it; raises `ConfigurationError` if they can't.

    `url` is the server's root (a trailing `/v1` is understood). `api_key` goes as a bearer token;
    `tracing` says which trace a call belongs to.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        tls: Tls | None = None,
        connect_timeout_s: float = 2.0,
        tracing: Tracing = UNTRACED,
    ) -> None:
        self._parts = http_url(url, "engine URL")
        self._url = url.rstrip("/").removesuffix("/v1")
        self._path = self._parts.path.rstrip("/").removesuffix("/v1")
        if not self._path.isascii() or any(c.isspace() for c in self._path):
            raise ConfigurationError(f"engine URL {url!r}: its path needs percent-encoding")
        headers = {"Host": authority_of(self._parts), "Accept-Encoding": "identity"}
        if api_key:
            if not (api_key.isascii() and api_key.isprintable()):
                raise ConfigurationError(
                    f"the api_key of engine {url} holds characters that no header can: check the "
                    "key, and the file that it is in for more than one line"
                )
            headers["Authorization"] = f"Bearer {api_key}"
        self._headers = _lines(headers)
        self._tls = (tls or Tls()).context() if self._parts.scheme == "https" else None
        self._connect_timeout_s = connect_timeout_s
        self._tracing = tracing
        self._connections: Connections | None = None

    @property
    def url(self) -> str:
        """The server's root."""
        return self._url

    async def open(self) -> None:
        """Get ready. No limit to connections: the window before the engine is the limit."""
        self._connections = Connections(
            self._parts, self._tls, self._connect_timeout_s, _KEEP_ALIVE_S
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._connections is not None:
            self._connections.close()
            self._connections = None

    async def models(self) -> tuple[str, ...]:
        """`GET /v1/models`."""
        body = bytearray()

        def take(data: bytes) -> None:
            body.extend(data)
            if len(body) > MAX_EVENT_BYTES:
                raise EngineFailed("answered far more than a list of models")

        await self._ask("GET", "/v1/models", b"", take)
        try:
            return tuple(str(model["id"]) for model in orjson.loads(body)["data"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise EngineFailed("/v1/models is no list of models: is this vLLM?") from error

    async def stream(self, call: Call, into: Transcript, on_chunk: Callable[[], None]) -> None:
        """`POST /v1/completions`, streamed. Cancelling closes the connection, which aborts it."""
        lines = EventLines()

        def take(data: bytes) -> None:
            events = lines.feed(data)
            for event in events:
                into.add(event)
            if events:
                on_chunk()

        await self._ask("POST", "/v1/completions", request_body(call), take)
        if not into.ended:
            raise EngineFailed("ended the stream before [DONE]")

    async def _ask(self, method: str, path: str, body: bytes, take: Take) -> None:
        """Ask for one thing. Raises what `take` raises, and the error for what is no answer."""
        connections = self._opened
        refusal = bytearray()

        def sorted_out(answer: Answer, data: bytes) -> None:
            if answer.status == 200:
                take(data)
                return
            refusal.extend(data[:_ERROR_BYTES])
            if len(refusal) >= _ERROR_BYTES:
                answer.finish()

        answer = Answer(sorted_out)
        connection = None
        try:
            with self._tracing.call(method, self._url) as span:
                connection = await connections.ask(self._request(method, path, body), answer)
                span.note(status_code=await answer.begun)
            await answer.ended
        except OSError as error:
            if answer.status in (0, 200):
                raise EngineFailed(_reason(error)) from error
        finally:
            if connection is not None:
                connections.give_back(connection, answer)
        if answer.status != 200:
            raise _refusal(answer, bytes(refusal[:_ERROR_BYTES]))

    def _request(self, method: str, path: str, body: bytes) -> bytes:
        """The bytes of a request."""
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._headers}"
        if told := self._tracing.headers():
            head += _lines(told)
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    @property
    def _opened(self) -> Connections:
        if self._connections is None:
            raise EngineFailed("the session to it is not open")
        return self._connections


def _lines(headers: Mapping[str, str]) -> str:
    """Headers as they are sent."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _refusal(answer: Answer, body: bytes) -> EngineFailed | EngineBusy | EngineRefused:
    """The error for a status that is not 200."""
    status = answer.status
    try:
        kind = kind_of(orjson.loads(body))
    except orjson.JSONDecodeError:
        kind = "an error without a type"
    if status in {401, 403, 404}:
        return EngineUnfit(f"answered {status}: {kind}")
    retry_after = answer.headers.get(b"retry-after", b"").decode("latin-1")
    if status == 429 or (status == 503 and retry_after):
        return EngineBusy(f"answered {status}: {kind}", seconds_of(retry_after, time.time()))
    if status >= 500:
        return EngineFailed(f"answered {status}: {kind}")
    return EngineRefused(f"answered {status}: {kind}")


def _reason(error: BaseException) -> str:
    """One line for a failed connection."""
    if isinstance(error, TimeoutError):
        return "did not accept a connection in time"
    return f"connection failed: {str(error) or type(error).__name__}"
