"""The connections to one vLLM server: aiohttp directly, one session, nothing retried here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp
import orjson

from service.addresses import http_url
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
from service.tls import Tls

# vLLM closes a connection that has been idle for 5 s; one that we reuse must be younger.
_KEEP_ALIVE_S = 3.0


class VllmEngine:
    """One vLLM server. Arguments say how to reach it; raises `ConfigurationError` if they can't.

    `url` is the server's root (a trailing `/v1` is understood). `api_key` goes as a bearer token.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        tls: Tls | None = None,
        connect_timeout_s: float = 2.0,
    ) -> None:
        parts = http_url(url, "engine URL")
        self._url = url.rstrip("/").removesuffix("/v1")
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._tls = (tls or Tls()).context() if parts.scheme == "https" else None
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """The server's root."""
        return self._url

    async def open(self) -> None:
        """Make the one session. No connection limit: the window before the engine is the limit."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=_KEEP_ALIVE_S, ssl=self._tls or True
            ),
            headers=self._headers,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close the session and its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def models(self) -> tuple[str, ...]:
        """`GET /v1/models`."""
        try:
            async with self._opened.get(f"{self._url}/v1/models") as response:
                if response.status != 200:
                    raise await _refusal(response)
                listed = orjson.loads(await _bounded(response))
                return tuple(str(model["id"]) for model in listed["data"])
        except (aiohttp.ClientError, OSError) as error:
            raise EngineFailed(_reason(error)) from error
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise EngineFailed("/v1/models is no list of models: is this vLLM?") from error

    async def stream(self, call: Call, into: Transcript, on_chunk: Callable[[], None]) -> None:
        """`POST /v1/completions`, streamed. Cancelling closes the connection, which aborts it."""
        try:
            async with self._opened.post(
                f"{self._url}/v1/completions", data=request_body(call)
            ) as response:
                if response.status != 200:
                    raise await _refusal(response)
                try:
                    await _read(response, into, on_chunk)
                except BaseException:
                    response.close()
                    raise
        except (aiohttp.ClientError, OSError) as error:
            raise EngineFailed(_reason(error)) from error
        if not into.ended:
            raise EngineFailed("ended the stream before [DONE]")

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise EngineFailed("the session to it is not open")
        return self._session


async def _read(
    response: aiohttp.ClientResponse, into: Transcript, on_chunk: Callable[[], None]
) -> None:
    lines = EventLines()
    async for data in response.content.iter_any():
        events = lines.feed(data)
        for event in events:
            into.add(event)
        if events:
            on_chunk()


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, where it is no larger than any list of models. Raises `EngineFailed`."""
    body = b""
    async for data in response.content.iter_any():
        body += data
        if len(body) > MAX_EVENT_BYTES:
            raise EngineFailed("answered far more than a list of models")
    return body


async def _refusal(
    response: aiohttp.ClientResponse,
) -> EngineFailed | EngineBusy | EngineRefused:
    """The error for a status that is not 200."""
    status = response.status
    try:
        kind = kind_of(orjson.loads(await response.content.read(4096)))
    except (orjson.JSONDecodeError, aiohttp.ClientError):
        kind = "an error without a type"
    if status in {401, 403, 404}:
        return EngineUnfit(f"answered {status}: {kind}")
    retry_after = response.headers.get("Retry-After", "")
    if status == 429 or (status == 503 and retry_after):
        return EngineBusy(f"answered {status}: {kind}", seconds_of(retry_after, time.time()))
    if status >= 500:
        return EngineFailed(f"answered {status}: {kind}")
    return EngineRefused(f"answered {status}: {kind}")


def _reason(error: BaseException) -> str:
    """One line for a failed connection."""
    if isinstance(error, asyncio.TimeoutError):
        return "did not accept a connection in time"
    return f"connection failed: {str(error) or type(error).__name__}"
