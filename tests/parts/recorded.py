"""Answers that were recorded: what the demo's users were given, and what the student wrote for it.

    python -m tests.parts.recorded                      # the answers anew, by the recorded outputs
    python -m tests.parts.recorded http://127.0.0.1:8001   # the outputs too, by a running engine

A change that is to leave answers alone is held to `tests/data/recorded.json`; one that is to change
them records them anew, and the difference is part of its review. Demo data, clock and the student's
outputs are fixed, so nothing but the code decides.
"""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from aiohttp import web

from models.demo.__main__ import write_demo
from models.demo.users import demo_users
from models.packaging.build import built_folder
from models.packaging.registry import DEFAULT_STUDENT, find_student
from service.app import create_app
from service.settings import Settings
from tests.parts.redis import RedisServer

RECORDED = Path(__file__).parents[1] / "data" / "recorded.json"
NEWEST = datetime(2026, 11, 20, tzinfo=UTC)
"""The time of the newest demo article; requests are made an hour later."""
_NOW_MS = int(NEWEST.timestamp() * 1000) + 3_600_000
_SHOWN = 20
"""Candidates that are recorded one by one; of all the others the ids' checksum."""

Json = dict[str, Any]


def read_record() -> Json:
    """Outputs by the checksum of their prompt, and answers by user."""
    record: Json = orjson.loads(RECORDED.read_bytes())
    return record


async def answers(outputs: dict[str, str], built: Path, *, engine: str | None = None) -> Json:
    """What every demo user is answered; a prompt without a recorded output gets an HTTP error.

    `built` is the folder of the built student. With `engine` unknown prompts go to that one, and
    what it writes is put into `outputs`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        articles, signals = write_demo(folder / "demo", newest=NEWEST)
        server = RedisServer().start()
        try:
            async with _replaying(outputs, engine) as url:
                given: Json = {
                    "redis_url": server.url,
                    "data_dir": folder,
                    "students": {"main": {"manifest": built / "student.yaml", "engines": [url]}},
                }
                for what, file in (("index", articles), ("signals", signals)):
                    await asyncio.to_thread(_load, what, file, server.url, folder)
                return await _ask(Settings(**given))
        finally:
            server.close()


def _load(what: str, file: Path, redis_url: str, folder: Path) -> None:
    environment = {"INTERESTS_REDIS_URL": redis_url, "INTERESTS_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "service", what, "load", str(file)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)


async def _ask(settings: Settings) -> Json:
    """Over HTTP in this process, so that the clock can be set; one user after the other."""
    app = create_app(settings, now_ms=lambda: _NOW_MS)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        await _ready(client)
        found = {}
        for user in sorted(user.user_id for user in demo_users(newest=NEWEST)):
            body = {"user_id": user, "timeout_ms": 30_000}
            answer = await client.post("/v1/interests", json=body)
            assert answer.status_code == 200, answer.text
            found[user] = _essence(answer.json())
        return found


async def _ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.1)


def _essence(answer: Json) -> Json:
    """What must not change: no ids of requests, no times."""
    candidates = answer["candidates"]
    rest = "\n".join(candidate["id"] for candidate in candidates[_SHOWN:])
    return {
        "source": answer["source"],
        "degraded": answer["degraded"],
        "coverage": answer["coverage"],
        "queries": [
            [query["text"], query["weight"], query["hits"], query["origin"]]
            for query in answer["queries"]
        ],
        "candidates": [
            [candidate["id"], candidate["score"], candidate["matched_queries"]]
            for candidate in candidates[:_SHOWN]
        ],
        "others": len(candidates[_SHOWN:]),
        "others_sha256": hashlib.sha256(rest.encode()).hexdigest(),
    }


@asynccontextmanager
async def _replaying(outputs: dict[str, str], engine: str | None) -> AsyncIterator[str]:
    """A server that answers vLLM's protocol with what was recorded; its URL."""
    model = find_student(DEFAULT_STUDENT).manifest.key

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": model}]})

    async def complete(request: web.Request) -> web.Response:
        body = await request.json()
        prompt = hashlib.sha256(orjson.dumps(body["prompt"])).hexdigest()[:24]
        if len(body["prompt"]) == 1:  # the gateway's probe
            text = ""
        elif prompt in outputs:
            text = outputs[prompt]
        elif engine is None:
            return web.json_response({"error": {"message": "no output recorded"}}, status=400)
        else:
            text = outputs[prompt] = await _written(engine, body)
        choice = {"index": 0, "text": text, "finish_reason": "stop"}
        events = orjson.dumps({"choices": [choice]}), b"[DONE]"
        return web.Response(body=b"".join(b"data: " + event + b"\n\n" for event in events))

    app = web.Application()
    app.add_routes([web.get("/v1/models", models), web.post("/v1/completions", complete)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def _written(engine: str, body: Json) -> str:
    """What a real engine writes for a request."""
    whole = {name: value for name, value in body.items() if not name.startswith("stream")}
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.post(f"{engine}/v1/completions", json=whole)
    choice = answer.raise_for_status().json()["choices"][0]
    assert choice["finish_reason"] == "stop", "a list that was cut off is no good record"
    text: str = choice["text"]
    return text


def main() -> None:
    """Record, and write the file."""
    engine = sys.argv[1] if len(sys.argv) > 1 else None
    outputs = {} if engine else read_record()["outputs"]
    built = built_folder(find_student(DEFAULT_STUDENT).manifest, Path(".cache/students"))
    found = asyncio.run(answers(outputs, built, engine=engine))
    record = {"outputs": dict(sorted(outputs.items())), "answers": found}
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_bytes(_lines(record))
    sys.stdout.write(f"{RECORDED}: {len(outputs)} outputs, {len(found)} answers\n")


def _lines(record: Json) -> bytes:
    """JSON with a line an output and a line an answer, so that differences can be read."""
    parts = []
    for name, entries in record.items():
        rows = [orjson.dumps(k) + b": " + orjson.dumps(v) for k, v in entries.items()]
        parts.append(orjson.dumps(name) + b": {\n" + b",\n".join(rows) + b"\n}")
    return b"{\n" + b",\n".join(parts) + b"\n}\n"


if __name__ == "__main__":
    main()
