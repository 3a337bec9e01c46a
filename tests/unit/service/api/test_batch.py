"""Several users at once: each is answered or refused by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.service.api.fakes import FakeGateway
from tests.unit.service.api.test_routes import post, signal


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(tmp_path)


async def test_a_batch_answers_each_user_by_itself(gateway: FakeGateway) -> None:
    requests = [{"user_id": "a", "signals": [signal()]}, {"user_id": "b", "variant": "no@1"}]
    results = (await post(gateway, {"requests": requests}, "/v1/interests:batch")).json()["results"]
    assert [one["status"] for one in results] == [200, 422]
    assert results[0]["result"]["user_id"] == "a"
    assert results[1]["problem"]["errors"][0]["field"] == "variant"


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"user_id": "b", "limit": 0}, "limit"),
        ({"user_id": "b", "signals": [signal(domain="dream")]}, "signals[0].domain"),
        ({"user_id": "b", "signals": [signal("  ")]}, "signals[0].text"),
        ({"user_id": "b", "colour": "red"}, "body"),
        ({}, "user_id"),
        (None, "body"),
        ("b", "body"),
    ],
)
async def test_a_bad_entry_of_a_batch_is_refused_alone_and_names_its_own_field(
    gateway: FakeGateway, entry: Any, field: str
) -> None:
    requests = [{"user_id": "a"}, entry, {"user_id": "c"}]
    answer = await post(gateway, {"requests": requests}, "/v1/interests:batch")
    assert answer.status_code == 200
    first, bad, last = answer.json()["results"]
    assert (first["status"], last["status"]) == (200, 200)
    assert (first["result"]["user_id"], last["result"]["user_id"]) == ("a", "c")
    assert bad["status"] == bad["problem"]["status"] == 422
    assert bad["problem"]["type"] == "urn:interests:problem:invalid-input"
    assert bad["problem"]["errors"][0]["field"] == field


async def test_a_bad_entry_of_a_batch_takes_no_place(gateway: FakeGateway) -> None:
    gateway.capacity = 1
    requests = [{"user_id": "a"}, {"user_id": ""}, {"user_id": "c", "limit": 0}]
    answer = await post(gateway, {"requests": requests}, "/v1/interests:batch")
    assert [one["status"] for one in answer.json()["results"]] == [200, 422, 422]


@pytest.mark.parametrize("requests", [[], [{"user_id": "a"}] * 65, {"user_id": "a"}, None])
async def test_a_batch_that_is_no_list_of_1_to_64_is_422_as_a_whole(
    gateway: FakeGateway, requests: Any
) -> None:
    answer = await post(gateway, {"requests": requests}, "/v1/interests:batch")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "requests"


async def test_crowds_of_unknown_fields_in_a_batch_cost_one_error_each(
    gateway: FakeGateway,
) -> None:
    gateway.max_body_bytes = 1_048_576
    crowd = {f"key{i}": 0 for i in range(1_000)}
    requests = [
        {"user_id": "a", **crowd},
        {"user_id": "a", "signals": [{**signal(), **crowd} for _ in range(20)]},
    ]
    answer = await post(gateway, {"requests": requests}, "/v1/interests:batch")
    problems = [one["problem"] for one in answer.json()["results"]]
    assert [len(problem["errors"]) for problem in problems] == [1, 1]
    assert "key1" not in answer.text
