"""What load tests ask of peers, without the peers: questions, searches, configurations, judges."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtests.engine_protocol import read_call
from loadtests.engine_simulator import Behaviour, sequences_of
from loadtests.peers import stage
from loadtests.peers.apps.asked import (
    Options,
    by_words,
    fields_of,
    lines_shape,
    list_schema,
    question_of,
)
from loadtests.peers.litellm import completion, config, streamed, whole
from loadtests.peers.retrieval import fresh
from loadtests.raw_client import Reply
from loadtests.rig.loops import OK
from service.api.schemas import InterestsIn
from service.records import Filters
from service.retrieval.indexes.analysis import FIELDS
from service.retrieval.indexes.opensearch_searches import multi_search


def options(**more: Any) -> Options:
    known: dict[str, Any] = {
        "engine": "http://engine/v1",
        "model": "sim",
        "opensearch": "http://index",
        "index": "news",
        "fields": FIELDS,
        "queries": 3,
        "hits": 50,
        "limit": 100,
        "max_tokens": 96,
        "shaped": True,
    }
    return Options(**known | more)


def reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status=status, body=body, seconds=0.0, retry_after_s=None, ended=0.0)


def test_a_question_is_the_newest_signals_newest_first() -> None:
    signals = [{"at": f"2026-11-{day:02}T08:00:00Z", "text": f"day {day}"} for day in range(1, 29)]
    parts = question_of(signals).split("; ")
    assert parts == [f"day {day}" for day in range(28, 8, -1)]


def test_peers_search_the_index_as_the_gateway_does() -> None:
    ours = orjson.loads(multi_search(["night train"], 50, Filters(), 1_000).split(b"\n")[1])
    theirs = by_words("night train", options())
    assert theirs["query"] == ours["query"]
    assert theirs["size"] == ours["size"]


def test_fields_are_told_with_their_boosts() -> None:
    told = ",".join(f"{name}^{boost:g}" for name, boost in FIELDS)
    assert fields_of(told) == FIELDS
    assert fields_of("title") == (("title", 1.0),)


def test_the_shape_of_lines_takes_as_many_queries_as_are_wanted() -> None:
    shape = lines_shape(options())["structured_outputs"]["regex"]
    line = "night train prices"
    assert re.fullmatch(shape, "\n".join([line] * 3))
    assert not re.fullmatch(shape, "\n".join([line] * 2))
    assert not re.fullmatch(shape, "\n".join([line] * 4))
    assert lines_shape(options(shaped=False)) == {}


def test_the_schema_of_a_list_is_one_that_the_simulator_follows() -> None:
    wanted = {"json_schema": {"name": "q", "schema": list_schema(options())}}
    body = {"prompt": "night train", "max_tokens": 64, "response_format": wanted}
    (sample,) = sequences_of(read_call(body, chat=False), Behaviour(lines=3))
    text, last = "", False
    while not last:
        piece, last = sample.next()
        text += piece
    assert len(orjson.loads(text)["queries"]) == 3


def test_requests_are_the_gateways_and_no_two_users_ask_the_same() -> None:
    bodies = stage.bodies_of(limit=100, queries=8, users=1_886)
    read = [InterestsIn.model_validate_json(body) for body in bodies[:30]]
    assert {(one.limit, one.max_queries) for one in read} == {(100, 8)}
    questions = {question_of(orjson.loads(body)["signals"]) for body in bodies}
    assert len(questions) == 1_886


def test_a_simulated_engine_writes_words_of_the_articles(tmp_path: Path) -> None:
    articles = tmp_path / "articles.jsonl"
    titles = ["Night train to the coast", "Coast storm: trains late"]
    articles.write_bytes(b"\n".join(orjson.dumps({"title": title}) for title in titles))
    assert stage.words_of(articles) == ["night", "train", "coast", "storm", "trains"]


@pytest.mark.parametrize(
    ("queries", "candidates", "said"),
    [
        ("fresh", "search", OK),
        ("heuristic", "search", "heuristic queries, search candidates"),
        ("fresh", "popular", "fresh queries, popular candidates"),
    ],
)
def test_only_lists_written_for_the_request_and_searched_count(
    queries: str, candidates: str, said: str
) -> None:
    assert fresh({"source": {"queries": queries, "candidates": candidates}}) == said


@pytest.mark.parametrize("chat", [False, True])
def test_litellm_is_asked_for_what_the_engine_can_read(chat: bool) -> None:
    request = completion("sim", "night train", 96, stream=True, chat=chat)
    call = read_call(orjson.loads(request.body), chat="chat" in request.path)
    assert (call.model, call.max_tokens, call.stream, call.with_usage) == ("sim", 96, True, True)
    assert call.prompts == read_call({"prompt": "night train"}, chat=False).prompts


def test_litellm_serves_the_model_by_its_own_name_with_the_key_it_is_asked_with() -> None:
    told = orjson.loads(orjson.dumps(config("http://engine:1", "sim")))
    (model,) = told["model_list"]
    assert model["model_name"] == "sim"
    assert model["litellm_params"]["model"] == "openai/sim"
    assert model["litellm_params"]["api_base"] == "http://engine:1/v1"
    key = told["general_settings"]["master_key"]
    assert key in completion("sim", "night", 8, stream=False).headers


def test_an_answer_of_litellm_counts_when_it_is_whole() -> None:
    piece = b'data: {"choices":[{"index":0,"text":"night "}]}\n\n'
    end = b'data: {"choices":[{"index":0,"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    judge = streamed(2)
    assert judge(reply(piece * 2 + end)) == OK
    assert judge(reply(piece + end)) == "a list with gaps"
    assert judge(reply(piece * 2)) == "a list without its end"
    assert judge(reply(piece * 2 + end.partition(b"data: [")[0])) == "a stream without its end"
    assert whole(reply(b"{}", status=500)) == "status 500"
