"""An encoder behind a URL, over a real socket: right answers, and every kind of wrong one."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from service.encoding.remote import RemoteEncoder
from service.errors import ConfigurationError, EncoderUnavailable

Answer = Callable[[dict[str, Any]], Any]


@asynccontextmanager
async def server(answer: Answer, seen: list[Any] | None = None) -> AsyncIterator[str]:
    async def embeddings(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if seen is not None:
            seen.append((asked, request.headers.get("Authorization")))
        found = answer(asked)
        if isinstance(found, Awaitable):
            found = await found
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)

    app = web.Application()
    app.router.add_post("/v1/embeddings", embeddings)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def remote(url: str, **more: Any) -> RemoteEncoder:
    return RemoteEncoder(url, key="served@1", model="served", dimension=2, **more)


async def ask(answer: Answer, *texts: str, within_s: float = 5.0) -> Any:
    async with server(answer) as url:
        encoder = remote(url)
        try:
            until = asyncio.get_running_loop().time() + within_s
            return await encoder.encode(texts or ("a",), "query", until)
        finally:
            await encoder.close()


def rows(*vectors: object) -> dict[str, Any]:
    return {"data": [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]}


async def test_vectors_come_in_the_order_of_the_texts_whatever_the_order_of_the_answer() -> None:
    def backwards(asked: dict[str, Any]) -> Any:
        answer = rows([3, 0], [0, 5])
        answer["data"].reverse()
        return answer

    assert np.allclose(await ask(backwards, "a", "b"), [[1, 0], [0, 1]])


async def test_base64_is_read_too() -> None:
    packed = base64.b64encode(np.array([0, 2], "<f4").tobytes()).decode()
    assert np.allclose(await ask(lambda asked: rows(packed)), [[0, 1]])


async def test_model_prefix_and_key_are_sent() -> None:
    seen: list[Any] = []
    async with server(lambda asked: rows([1, 0]), seen) as url:
        encoder = remote(f"{url}/v1/", prefixes=("query: ", "passage: "), api_key="secret-key")
        until = asyncio.get_running_loop().time() + 5
        await encoder.encode(["a"], "query", until)
        await encoder.encode(["a"], "article", until)
        await encoder.close()
    assert [asked["input"] for asked, _ in seen] == [["query: a"], ["passage: a"]]
    assert {asked["model"] for asked, _ in seen} == {"served"}
    assert {key for _, key in seen} == {"Bearer secret-key"}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": []},
        {"data": 5},
        [],
        rows([1, 0], [1, 0]),
        rows([1, 0, 0]),
        rows([1]),
        rows("no base64!"),
        rows(["a", "b"]),
        rows(None),
        rows([[1, 0]]),
        {"data": [{"index": 7, "embedding": [1, 0]}]},
        {"data": [{"embedding": [1, 0]}]},
    ],
)
async def test_an_answer_that_holds_no_vectors_of_the_texts_is_refused(answer: Any) -> None:
    with pytest.raises(EncoderUnavailable):
        await ask(lambda asked: answer)


async def test_what_is_no_json_or_no_success_is_refused() -> None:
    with pytest.raises(EncoderUnavailable, match="holds no vectors"):
        await ask(lambda asked: web.Response(text="<html>"))
    with pytest.raises(EncoderUnavailable, match="answered 503"):
        await ask(lambda asked: web.Response(status=503))


async def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    with pytest.raises(EncoderUnavailable, match="longer than vectors"):
        await ask(lambda asked: web.Response(text="x" * 1_000_000))


async def test_a_slow_server_is_left_at_the_given_moment() -> None:
    async def slow(asked: dict[str, Any]) -> Any:
        await asyncio.sleep(30)

    with pytest.raises(EncoderUnavailable, match="in time"):
        await ask(slow, within_s=0.05)


async def test_nobody_there_is_said_so() -> None:
    encoder = remote("http://127.0.0.1:9")
    with pytest.raises(EncoderUnavailable):
        await encoder.encode(["a"], "query", asyncio.get_running_loop().time() + 5)
    await encoder.close()


@pytest.mark.parametrize("url", ["", "encoder:80", "ftp://host", "http://", "http://a:b@host"])
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="encoder URL"):
        remote(url)
