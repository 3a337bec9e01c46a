"""The engine simulator answers each of vLLM's protocols in vLLM's shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from loadtests.engine_protocol import BadCall, ids_of, read_call
from loadtests.engine_simulator import Behaviour, Simulator, sequences_of

COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"


def asked(path: str, text: str = "night train to the coast", **more: Any) -> dict[str, Any]:
    given = {"messages": [{"role": "user", "content": text}]} if path == CHAT else {"prompt": text}
    return {"model": "sim", "max_tokens": 8, **given, **more}


def said(answer: dict[str, Any]) -> list[str]:
    texts = []
    for choice in answer["choices"]:
        part = choice.get("message") or choice.get("delta") or choice
        texts.append(part.get("content", part.get("text", "")))
    return texts


def events(body: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in body.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [orjson.loads(line) for line in lines]


@pytest.fixture
async def simulator() -> Simulator:
    return Simulator(Behaviour(step_ms=0))


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(simulator)
    async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
        yield client


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
async def test_a_whole_answer_says_what_the_stream_says(
    client: httpx.AsyncClient, path: str
) -> None:
    whole = (await client.post(path, json=asked(path, n=2))).json()
    more = {"stream": True, "stream_options": {"include_usage": True}}
    streamed = events((await client.post(path, json=asked(path, n=2, **more))).text)

    pieces = ["", ""]
    for event in streamed[:-1]:
        pieces[event["choices"][0]["index"]] += said(event)[0]
    assert pieces == said(whole)
    assert streamed[-1]["choices"] == []
    assert streamed[-1]["usage"] == whole["usage"]
    assert whole["usage"]["completion_tokens"] == 16
    assert [choice["finish_reason"] for choice in whole["choices"]] == ["length", "length"]


async def test_a_chat_begins_by_saying_whose_turn_it_is(client: httpx.AsyncClient) -> None:
    streamed = events((await client.post(CHAT, json=asked(CHAT, stream=True))).text)
    whole = (await client.post(CHAT, json=asked(CHAT))).json()

    assert streamed[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert {event["object"] for event in streamed} == {"chat.completion.chunk"}
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["message"]["role"] == "assistant"


async def test_several_prompts_are_answered_in_their_order(client: httpx.AsyncClient) -> None:
    texts = ["a storm", "harbour lights"]
    together = (await client.post(COMPLETIONS, json=asked(COMPLETIONS) | {"prompt": texts})).json()
    alone = (await client.post(COMPLETIONS, json=asked(COMPLETIONS, texts[0]))).json()

    assert [choice["index"] for choice in together["choices"]] == [0, 1]
    assert said(together)[0] == said(alone)[0]
    assert said(together)[1] != said(together)[0]


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
@pytest.mark.parametrize("text", ["", "  \n"])
async def test_a_call_without_a_prompt_is_refused(
    client: httpx.AsyncClient, path: str, text: str
) -> None:
    answer = await client.post(path, json=asked(path, text))

    assert answer.status_code == 400
    assert "prompt" in answer.json()["error"]["message"]


async def test_a_whole_answer_is_cut_off_as_a_stream_is(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    simulator.batch.behaviour = Behaviour(step_ms=0, fault="cut", fault_after=3)
    whole = (await client.post(COMPLETIONS, json=asked(COMPLETIONS))).json()

    assert whole["choices"][0]["finish_reason"] == "abort"
    assert len(said(whole)[0].split()) == 3


async def test_nothing_is_left_in_flight_when_whole_answers_are_sent(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    await client.post(CHAT, json=asked(CHAT))

    assert not simulator.in_flight
    assert not simulator.batch.running
    assert len(simulator.calls) == 1


async def test_lines_end_a_sample_by_themselves(client: httpx.AsyncClient) -> None:
    await client.post("/simulator", json={"lines": 2, "words": ["oak", "elm", "ash", "fir", "yew"]})
    whole = (await client.post(COMPLETIONS, json=asked(COMPLETIONS, max_tokens=64))).json()

    assert whole["choices"][0]["finish_reason"] == "stop"
    lines = said(whole)[0].splitlines()
    assert [len(line.split()) for line in lines] == [4, 4]
    assert set(said(whole)[0].split()) <= {"oak", "elm", "ash", "fir", "yew"}


async def test_a_schema_of_one_list_is_answered_with_that_list(client: httpx.AsyncClient) -> None:
    await client.post("/simulator", json={"lines": 2})
    schema = {"properties": {"queries": {"type": "array", "items": {"type": "string"}}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "queries", "schema": schema}}
    body = asked(CHAT, max_tokens=64)
    plain = (await client.post(CHAT, json=body)).json()
    shaped = (await client.post(CHAT, json=body | {"response_format": wanted})).json()

    assert orjson.loads(said(shaped)[0]) == {"queries": said(plain)[0].splitlines()}


def test_a_list_that_is_cut_short_stays_open() -> None:
    wanted = {"json_schema": {"schema": {"properties": {"queries": {}}}}}
    call = read_call(asked(COMPLETIONS, response_format=wanted), chat=False)
    (sample,) = sequences_of(call, Behaviour())
    text = "".join(sample.next()[0] for _ in range(call.max_tokens))

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(text)


def test_a_text_has_a_token_for_each_word_and_one_before_them() -> None:
    assert len(ids_of("night train")) == 3
    assert ids_of("night train")[:2] == ids_of("night")
    assert ids_of(" ") == ()


def test_only_a_prompt_of_one_id_is_a_probe() -> None:
    assert read_call({"prompt": [1]}, chat=False).probe
    assert not read_call({"prompt": "one"}, chat=False).probe
    assert not read_call({"prompt": [[1], [1]]}, chat=False).probe


def test_a_chat_may_say_its_words_in_parts() -> None:
    parts = [{"type": "text", "text": "night"}, {"type": "text", "text": "train"}]
    message = {"role": "user", "content": parts}
    plain = {"role": "user", "content": "night train"}

    in_parts = read_call({"messages": [message]}, chat=True)
    assert in_parts.prompts == read_call({"messages": [plain]}, chat=True).prompts


@pytest.mark.parametrize("body", [{}, {"prompt": []}, {"prompt": ["night", ""]}, {"prompt": 5}])
def test_what_is_no_prompt_is_a_bad_call(body: dict[str, Any]) -> None:
    with pytest.raises(BadCall, match="empty"):
        read_call(body, chat=False)
