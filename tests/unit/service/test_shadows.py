"""Shadows follow answers that have left, through a gateway over fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client import generate_latest

from service.errors import GenerationOverloaded, GenerationUnavailable
from service.events.shadows import shadow as object_of
from service.experiments.definitions import Arm, Experiment, Experiments, Layer, Status
from service.experiments.file import CheckedFile
from service.experiments.live import LiveExperiments
from service.records import GenerationRequest, QueryList, ShadowAnswer
from service.shadows import AT_ONCE
from tests.parts.metrics import total
from tests.unit.service.api.fakes import OTHER, FakeGateway, FakeGenerator, client_of
from tests.unit.service.api.test_routes import signal
from tests.unit.service.events.test_exposures import ANSWER


def experiments(*arms: Arm, kind: str = "shadow", traffic: int = 10_000) -> LiveExperiments:
    one = Experiment("k", kind, Status.RUNNING, (0, 9_999), traffic, arms)  # type: ignore[arg-type]
    return LiveExperiments(CheckedFile(Experiments((Layer("l", "s", (one,)),))))


class NoRoom:
    """Engines that requests need; `broken`: engines that are dead."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        raise (GenerationUnavailable if self.broken else GenerationOverloaded)("no engine")


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    live = experiments(Arm("new", 10_000, OTHER.key))
    return FakeGateway(tmp_path, experiments=live, spare=FakeGenerator())


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not met():
            await asyncio.sleep(0.005)


def outcomes(gateway: FakeGateway) -> dict[str, float]:
    told = generate_latest(gateway.registry).decode()
    return {
        outcome: total(told, "interests_shadow_total", outcome=outcome)
        for outcome in ("done", "skipped", "failed")
    }


async def ask(client: Any, **more: Any) -> dict[str, Any]:
    body = {"user_id": "u", "signals": [signal("solar ferry")], "limit": 3, **more}
    answer: dict[str, Any] = (await client.post("/v1/interests", json=body)).json()
    return answer


async def test_a_shadow_is_found_out_and_its_answer_is_the_same_as_without(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    async with client_of(gateway.app()) as client:
        answer = await ask(client)
        await until(lambda: bool(gateway.events.shadows))
    [found] = gateway.events.shadows
    assert answer["experiments"] == [], "nothing of it was served"
    assert answer["student"]["version"] == "1"
    assert (found.key, found.arm, found.student.key) == ("k", "new", OTHER.key)
    assert found.request_id == answer["request_id"]
    assert [one.article.id for one in found.candidates] == [
        one["id"] for one in answer["candidates"]
    ]
    assert outcomes(gateway) == {"done": 1, "skipped": 0, "failed": 0}
    without = FakeGateway(tmp_path)
    async with client_of(without.app()) as client:
        plain = await ask(client)
    assert [one["id"] for one in plain["candidates"]] == [one["id"] for one in answer["candidates"]]


@pytest.mark.parametrize("path", ["/v1/interests", "/v1/interests:batch"])
async def test_no_shadow_begins_before_the_whole_answer_has_been_sent(
    gateway: FakeGateway, path: str
) -> None:
    """Of a batch, no user's before the answers to all of them."""
    happened: list[str] = []

    class Noting(FakeGenerator):
        async def generate(self, request: GenerationRequest, until: float) -> QueryList:
            happened.append("shadow")
            return await super().generate(request, until)

    gateway.spare = Noting()
    app = gateway.app()

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            await asyncio.sleep(0)
            await send(message)
            happened.append(message["type"])

        await app(scope, receive, sending)

    one = {"user_id": "u", "signals": [signal("solar ferry")]}
    body = one if path == "/v1/interests" else {"requests": [one, {**one, "user_id": "v"}]}
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(noting)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            assert (await client.post(path, json=body)).status_code == 200
        count = 1 if path == "/v1/interests" else 2
        await until(lambda: len(gateway.events.shadows) == count)
    assert happened == ["http.response.start", "http.response.body", *["shadow"] * count]


async def test_constants_alone_search_the_list_that_was_served(gateway: FakeGateway) -> None:
    gateway.spare = NoRoom()
    gateway.experiments = experiments(Arm("few", 10_000, retrieval={"own_signals": 0}))
    async with client_of(gateway.app()) as client:
        await ask(client)
        await until(lambda: bool(gateway.events.shadows))
    assert isinstance(gateway.spare, NoRoom), "no list was written for it"
    [found] = gateway.events.shadows
    assert found.queries_from == "fresh"


async def test_who_chose_a_student_or_is_not_enrolled_has_no_shadow(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        await ask(client, variant=OTHER.key)
        gateway.experiments.take(experiments(Arm("new", 10_000, OTHER.key), traffic=0).checked)
        await ask(client)
        await asyncio.sleep(0.05)
    assert gateway.events.shadows == []
    assert outcomes(gateway) == {"done": 0, "skipped": 0, "failed": 0}


@pytest.mark.parametrize(("broken", "outcome"), [(False, "skipped"), (True, "failed")])
async def test_a_shadow_that_fails_or_finds_no_room_changes_nothing(
    gateway: FakeGateway, broken: bool, outcome: str
) -> None:
    gateway.spare = NoRoom(broken)
    async with client_of(gateway.app()) as client:
        answer = await ask(client)
        await until(lambda: outcomes(gateway)[outcome] == 1)
    assert gateway.events.shadows == []
    assert answer["degraded"] == []


async def test_more_shadows_than_may_run_at_once_are_skipped(gateway: FakeGateway) -> None:
    gateway.spare = held = FakeGenerator(gate=asyncio.Event())
    async with client_of(gateway.app()) as client:
        for _ in range(AT_ONCE + 2):
            await ask(client)
        await until(lambda: outcomes(gateway)["skipped"] == 2)
        await until(lambda: held.running == AT_ONCE)
        held.gate.set()
        await until(lambda: outcomes(gateway)["done"] == AT_ONCE)


async def test_shadows_in_work_end_with_the_gateway(gateway: FakeGateway) -> None:
    gateway.spare = held = FakeGenerator(gate=asyncio.Event())
    async with client_of(gateway.app()) as client:
        await ask(client)
        await until(lambda: held.running == 1)
    assert held.cancelled == 1
    assert gateway.events.shadows == []


def test_a_shadow_becomes_an_object_of_the_stream(gateway: FakeGateway) -> None:
    made = ShadowAnswer(
        request_id="r",
        user_id="maya",
        read_at_ms=1,
        key="k",
        layer="l",
        arm="new",
        student=ANSWER.student,
        queries_from=ANSWER.queries_from,
        candidates_from=ANSWER.candidates_from,
        degraded=ANSWER.degraded,
        runs=ANSWER.runs,
        candidates=ANSWER.candidates,
        timings=ANSWER.timings,
    )
    said = orjson.loads(object_of(made, 5))
    assert (said["id"], said["at"], said["user"], said["arm"]) == ("r", 5, "maya", "new")
    assert said["ids"] == ["a-1", "a-1"]
    assert said["queries"][0] == ["lake ice", 0.5, 2, 1, "student"]
    assert b"secret words" not in object_of(made, 5)
