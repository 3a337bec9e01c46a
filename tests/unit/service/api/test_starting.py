"""While an application is being built a gateway is alive, and all else waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event

import httpx
import pytest
from fastapi import FastAPI

from service.api.starting import Starting
from service.errors import ConfigurationError


@asynccontextmanager
async def client_of(starting: Starting) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=starting)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def test_it_is_alive_before_it_is_built_and_other_requests_wait_for_that() -> None:
    may_build, closed = Event(), []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        closed.append(True)

    def build() -> FastAPI:
        assert may_build.wait(10)
        app = FastAPI(lifespan=lifespan)
        app.add_api_route("/readyz", lambda: "from the application")
        return app

    starting = Starting(build)
    ending = asyncio.Event()

    async def live() -> None:
        async with starting.opened():
            starting.take_requests()
            await ending.wait()

    async with client_of(starting) as client:
        living = asyncio.create_task(live())
        alive = await client.get("/healthz", headers={"X-Request-Id": "mine"})
        waiting = asyncio.create_task(client.get("/readyz"))
        assert (await client.head("/healthz")).status_code == 200
        assert not waiting.done()
        may_build.set()
        answered = await waiting
        ending.set()
        await living
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert alive.headers["x-request-id"] == "mine"
    assert answered.json() == "from the application"
    assert closed


async def test_who_has_waited_for_what_could_not_be_built_is_told_to_go_elsewhere() -> None:
    def build() -> FastAPI:
        raise ConfigurationError("no student is configured")

    starting = Starting(build)
    async with client_of(starting) as client:
        waiting = asyncio.create_task(client.post("/v1/interests", json={"user_id": "u"}))
        await asyncio.sleep(0)
        with pytest.raises(ConfigurationError, match="no student"):
            async with starting.opened():
                pass
        assert (await waiting).status_code == 503
