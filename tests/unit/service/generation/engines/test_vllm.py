"""What is asked of a vLLM server, and with what it is refused at the start."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from service.errors import ConfigurationError
from service.generation.engines.calls import EngineFailed
from service.generation.engines.completions import StreamedSamples
from service.generation.engines.vllm import VllmEngine
from tests.unit.service.generation.engines.fakes import call
from tests.unit.service.generation.engines.test_connections import Server, engine


@pytest.mark.parametrize("key", ["two\nlines", "tab\tkey", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(ConfigurationError, match="api_key of engine http://engine") as refused:
        VllmEngine("http://engine", api_key=key)
    assert key not in str(refused.value)


@pytest.mark.parametrize("path", ["/a b", "/ä"])
def test_a_path_that_no_request_can_hold_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encoding"):
        VllmEngine(f"http://engine{path}")


async def test_a_call_is_asked_below_the_servers_root_with_the_key() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        heard.extend([head, await reader.readexactly(length)])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\ndata: [DONE]\n\n")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    it = VllmEngine(f"http://127.0.0.1:{port}/behind/v1/", api_key="s3cret")
    await it.open()
    try:
        await it.stream(call(7), StreamedSamples(1, 3), lambda: None)
    finally:
        await it.close()
        listening.close()
    head, body = heard
    line, *headers = head.decode().split("\r\n")
    assert line == "POST /behind/v1/completions HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in headers
    assert "Authorization: Bearer s3cret" in headers
    assert orjson.loads(body)["prompt"] == [5, 6, 7]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 307 Moved\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", "answered 307"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9_000, "answered 500"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nhalf", "answered 503: an error without"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]", "no list of models"),
    ],
)
async def test_an_answer_that_is_none_of_ours_is_told_by_its_status(
    answer: bytes, told: str
) -> None:
    server: Server
    async with engine(answer, then_close=True) as server:
        it = VllmEngine(f"http://127.0.0.1:{server.port}")
        await it.open()
        try:
            with pytest.raises(Exception, match=told) as raised:
                await it.models()
        finally:
            await it.close()
    assert isinstance(raised.value, EngineFailed) or b" 307 " in answer
