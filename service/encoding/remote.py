"""An encoder behind a URL: OpenAI's `POST /v1/embeddings`, which vLLM's pooling server speaks too.

Source: OpenAI API reference, "Create embeddings"; vLLM documentation, "Pooling models".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from typing import Any

import aiohttp
import numpy as np
import orjson

from service.addresses import http_url
from service.encoding.vectors import unit_rows
from service.errors import EncoderUnavailable
from service.records import TextRole, Vectors
from service.tls import Tls

_BYTES_PER_NUMBER = 32
"""Of an answer in JSON: beyond this and a frame it is not read to its end."""
_FRAME_BYTES = 1 << 16


class RemoteEncoder:
    """An `Encoder` that asks a server. Raises `ConfigurationError` where the URL cannot be used.

    `key` is what the index is to say it was encoded by; `model` is the server's name for it.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str,
        model: str,
        dimension: int,
        prefixes: tuple[str, str] = ("", ""),
        api_key: str | None = None,
        tls: Tls | None = None,
    ) -> None:
        """`prefixes` are put before the text of a query and of an article."""
        parts = http_url(url, "encoder URL")
        self._url = f"{url.rstrip('/').removesuffix('/v1')}/v1/embeddings"
        self._key = key
        self._model = model
        self._dimension = dimension
        self._prefixes = dict(zip(("query", "article"), prefixes, strict=True))
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._tls = (tls or Tls()).context() if parts.scheme == "https" else None
        self._session: aiohttp.ClientSession | None = None

    @property
    def key(self) -> str:
        """`name@version`."""
        return self._key

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self._dimension

    async def encode(self, texts: Sequence[str], role: TextRole, until: float) -> Vectors:
        """Vectors of the texts by `until`, in one call. Raises `EncoderUnavailable`."""
        if not texts:
            return np.zeros((0, self._dimension), np.float32)
        prefix = self._prefixes[role]
        asked = {
            "model": self._model,
            "input": [prefix + text for text in texts],
            "encoding_format": "float",
        }
        try:
            async with (
                asyncio.timeout_at(until),
                self._opened().post(self._url, data=orjson.dumps(asked)) as response,
            ):
                if response.status != 200:
                    raise EncoderUnavailable(f"the encoder answered {response.status}")
                body = await self._read(response, len(texts))
        except TimeoutError:
            raise EncoderUnavailable("the encoder did not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise EncoderUnavailable(f"the encoder failed: {type(error).__name__}") from error
        return unit_rows(_rows(body), len(texts), self._dimension)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=32, ssl=self._tls or True),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse, texts: int) -> bytes:
        limit = _FRAME_BYTES + texts * self._dimension * _BYTES_PER_NUMBER
        body = bytearray()
        async for part in response.content.iter_any():
            body += part
            if len(body) > limit:
                raise EncoderUnavailable("the encoder's answer is longer than vectors can be")
        return bytes(body)


def _rows(body: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The vectors of an answer in the order of the texts: each says its `index`."""
    try:
        data = orjson.loads(body)["data"]
        rows = {int(row["index"]): _numbers(row["embedding"]) for row in data}
        return np.array([rows[i] for i in range(len(data))], np.float32)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise EncoderUnavailable("the encoder's answer holds no vectors") from error


def _numbers(embedding: Any) -> Any:
    """A list of numbers, or little-endian float32 in base64, which some servers send regardless."""
    if not isinstance(embedding, str):
        return embedding
    try:
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
    except binascii.Error as error:
        raise ValueError("not base64") from error
