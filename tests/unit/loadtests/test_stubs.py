from __future__ import annotations

from dataclasses import replace
from itertools import islice

import httpx
import orjson
import pytest

from loadtests.bench_experiments import an_answer
from loadtests.floor import floor
from loadtests.raw_client import Reply
from loadtests.rig.articles import article_rows
from loadtests.rig.gateways import made_by
from loadtests.rig.loops import OK, Request
from loadtests.rig.prompts import searches
from loadtests.rig.scene import in_turn
from loadtests.rig.users import inline, reworded
from loadtests.stub_index import Answers
from service.api.answers import InterestsOut, from_answer
from service.api.schemas import InterestsIn
from service.records import CandidateSource, Degraded, InterestAnswer, QuerySource
from service.retrieval.indexes.opensearch import mapping_problem
from service.retrieval.indexes.opensearch_hits import Documents
from service.retrieval.indexes.opensearch_searches import Reading, as_it_is


@pytest.fixture(scope="module")
def stub() -> Answers:
    return Answers(50)


def test_the_stub_index_answers_each_search_with_hits_that_the_gateway_reads(stub: Answers) -> None:
    (request,) = searches([["night train", "heat pump", "rent"]])
    status, body = stub.answer(request.path, request.body)
    assert status == 200
    responses = orjson.loads(body)["responses"]
    assert len(responses) == 3
    reading = Reading(Documents())
    lists = [reading.take(response, as_it_is) for response in responses]
    assert (reading.odd, reading.errors, reading.timed_out) == (0, [], False)
    for hits in lists:
        assert hits is not None
        assert len(hits) == 50
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
    assert lists[0] != lists[1]


def test_the_stub_index_has_our_mapping_statistics_and_popular_articles(stub: Answers) -> None:
    (about,) = orjson.loads(stub.answer("/news/_mapping", b"")[1]).values()
    assert mapping_problem(about["mappings"]) is None
    (index,) = orjson.loads(stub.answer("/news/_stats/refresh", b"")[1])["indices"].values()
    assert index["shards"]["0"][0]["seq_no"]["max_seq_no"] > 0
    found = orjson.loads(stub.answer("/news/_search", b'{"size":200}')[1])
    hits, odd = Documents().hits(found["hits"]["hits"])
    assert odd == 0
    clicks = [hit.popularity for hit in hits]
    assert len(clicks) == 200
    assert clicks == sorted(clicks, reverse=True)


def test_the_stub_index_answers_a_single_search_by_words_as_one_of_several(stub: Answers) -> None:
    def found(text: str) -> list[str]:
        body = orjson.dumps({"query": {"bool": {"should": [{"match": {"title": text}}]}}})
        status, answer = stub.answer("/news/_search", body)
        assert status == 200
        hits, odd = Documents().hits(orjson.loads(answer)["hits"]["hits"])
        assert odd == 0
        return [hit.id for hit in hits]

    assert len(found("night train")) == 50
    assert found("night train") == found("night train")
    assert found("night train") != found("heat pump")


def test_what_the_stub_index_does_not_know_is_an_error(stub: Answers) -> None:
    status, body = stub.answer("/news/_rank_eval", b"{}")
    assert status == 404
    assert "_rank_eval" in orjson.loads(body)["error"]["reason"]


async def test_the_floor_answers_with_the_same_bytes_as_the_gateway() -> None:
    sent = orjson.dumps(from_answer(an_answer(), explain=False))
    app = floor(InterestsOut.model_validate_json(sent))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://floor"
    ) as client:
        answer = await client.post("/v1/interests", json={"user_id": "maya"})
        refused = await client.post("/v1/interests", json={"user_id": ""})
    assert answer.json() == orjson.loads(sent)
    assert len(answer.content) == len(sent)
    assert refused.status_code == 422


def test_an_answer_is_right_when_it_is_whole_and_made_as_wanted() -> None:
    fresh = replace(
        an_answer(),
        queries_from=QuerySource.FRESH,
        candidates_from=CandidateSource.SEARCH,
        degraded=(),
    )
    judge = made_by("fresh")

    def said(answer: InterestAnswer, status: int = 200) -> str:
        body = orjson.dumps(from_answer(answer, explain=False))
        return judge(Reply(status, body, 0.1, None, 1.0))

    assert said(fresh) == OK
    assert said(replace(fresh, queries_from=QuerySource.REUSED)) == "not fresh and search"
    partial = replace(fresh, degraded=(Degraded.GENERATION_PARTIAL,))
    assert said(partial) == "degraded"
    assert said(fresh, status=429) == "status 429"


def test_reworded_users_are_taken_by_the_contract_and_say_what_no_other_says() -> None:
    who: dict[str, str] = {}
    for user, signals in reworded(40, 20):
        InterestsIn.model_validate({"user_id": user, "signals": inline(signals)})
        assert len(signals) == 20
        for text in {one.text for one in signals if len(one.text.split()) > 3}:
            assert who.setdefault(text, user) == user
    assert len(who) > 400


def test_articles_beyond_the_demo_are_others_in_the_words_of_their_category() -> None:
    rows = list(islice(article_rows(4_000), 4_000))
    assert len({row["id"] for row in rows}) == 4_000
    assert rows[1_881]["title"] != rows[0]["title"]
    assert rows[1_881]["category"] == rows[0]["category"]


def test_the_next_turn_goes_on_where_the_last_one_ended() -> None:
    requests = [Request(b"0"), Request(b"1"), Request(b"2")]
    make = in_turn(requests)
    assert [make(0) for _ in range(4)] == [*requests, requests[0]]
