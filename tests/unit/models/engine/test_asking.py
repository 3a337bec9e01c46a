"""Asking an engine: the gateway's own protocol, before a server that speaks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from models.engine.asking import Answer, AskedStudent, ask_for_lists, check_engines, complete
from models.evaluation.report.lists import answer_figures
from models.packaging.registry import find_student
from service.errors import ConfigurationError
from service.records import Decoding
from service.signals.prompt import Template, Tokenizer
from tests.unit.models.builders import signal
from tests.unit.service.signals.conftest import template, tokenizer, tokenizer_file

__all__ = ["template", "tokenizer", "tokenizer_file"]

MANIFEST = find_student("smollm2-base").manifest


@dataclass
class Fake:
    """A server that writes the same text for everybody."""

    text: str = "chess final\n#1\nferry strike\n"
    status: int = 200
    reason: str = "stop"
    bodies: list[Any] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": MANIFEST.key}]})

    async def completions(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        if self.status != 200:
            error = {"message": "too long", "type": "BadRequestError"}
            return web.json_response({"error": error}, status=self.status)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        response = web.StreamResponse()
        await response.prepare(request)
        choice = {"index": 0, "text": self.text, "finish_reason": self.reason}
        usage = {"prompt_tokens": 9, "completion_tokens": 7}
        for event in ({"choices": [choice]}, {"choices": [], "usage": usage}):
            await response.write(b"data: " + orjson.dumps(event) + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
async def url(fake: Fake) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/models", fake.models)
    app.router.add_post("/v1/completions", fake.completions)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


@pytest.fixture
def student(template: Template, tokenizer: Tokenizer) -> AskedStudent:
    return AskedStudent(MANIFEST, template, tokenizer)


async def ask(url: str, student: AskedStudent, users: int) -> dict[str, Answer]:
    readers = {f"u{n}": [signal("sourdough bread", n)] for n in range(users)}
    return await ask_for_lists([url], student, {**readers, "nobody": []}, at_once=2)


async def test_the_student_is_asked_with_its_prompt_and_decoding_and_read_as_served(
    url: str, fake: Fake, student: AskedStudent
) -> None:
    answers = await ask(url, student, 3)
    assert set(answers) == {"u0", "u1", "u2"}, "a user without signals is not asked"
    assert [query.text for query in answers["u0"].queries] == [
        "chess final",
        "sourdough bread",
        "ferry strike",
    ]
    body = fake.bodies[0]
    assert body["prompt"] == list(student.prompt([signal("sourdough bread")]).token_ids)
    assert body["max_tokens"] == MANIFEST.decoding.max_tokens
    assert body["model"] == MANIFEST.key


async def test_no_more_users_are_in_flight_than_allowed(
    url: str, fake: Fake, student: AskedStudent
) -> None:
    await ask(url, student, 7)
    assert fake.most_at_once == 2


async def test_references_tokens_and_times_are_counted(url: str, student: AskedStudent) -> None:
    found = answer_figures(await ask(url, student, 3))
    assert found["references"] == pytest.approx(1 / 3)
    assert found["output_tokens"] == 7.0
    assert 0 < found["latency_p50_s"] <= found["latency_p95_s"]
    assert set(answer_figures({}).values()) == {0.0}


async def test_an_answer_without_a_query_is_an_empty_list(
    url: str, fake: Fake, student: AskedStudent
) -> None:
    fake.text = "\n"
    assert (await ask(url, student, 1))["u0"].queries == ()


async def test_an_engine_that_serves_another_model_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"serves smollm2-base@1, not other@3; start"):
        await check_engines([url], "other@3")


async def test_an_engine_that_is_not_there_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:9: connection failed.*start one"):
        await check_engines(["http://127.0.0.1:9"], "any@1")


async def test_an_engine_that_refuses_a_call_ends_the_asking_with_its_reason(
    url: str, fake: Fake, student: AskedStudent
) -> None:
    fake.status = 400
    with pytest.raises(ConfigurationError, match="answered 400: BadRequestError"):
        await ask(url, student, 3)


async def test_a_list_that_the_engine_cut_off_is_not_measured_as_whole(
    url: str, fake: Fake, student: AskedStudent
) -> None:
    fake.reason = "abort"
    with pytest.raises(ConfigurationError, match="ended a call with abort; start it again"):
        await ask(url, student, 1)


async def test_users_take_turns_at_several_engines(url: str, fake: Fake) -> None:
    done = await complete([url, url], MANIFEST.key, [[1], [2], [3]], Decoding(), at_once=1)
    assert [completion.samples[0].text for completion, _ in done] == [fake.text] * 3
    assert fake.most_at_once == 2
