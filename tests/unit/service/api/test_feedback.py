"""`POST /v1/feedback` over HTTP: what is stored, what is refused, and what is told of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from service.identity import Identity
from tests.parts.metrics import total
from tests.unit.service.api.fakes import FakeGateway, client_of


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(tmp_path)


def event(number: int = 1, user: str = "maya", **more: Any) -> dict[str, Any]:
    request_id = Identity(b"secret").request_id(user)
    fields = {"event_id": f"e{number}", "request_id": request_id, "user_id": user}
    return {**fields, "kind": "click", "article_id": "a-1", **more}


async def post(gateway: FakeGateway, *events: dict[str, Any], **options: Any) -> Any:
    async with client_of(gateway.app()) as client:
        return await client.post("/v1/feedback", json={"events": list(events)}, **options)


async def test_each_event_is_stored_or_refused_by_itself(gateway: FakeGateway) -> None:
    ahead = (datetime.now(UTC) + timedelta(minutes=9)).isoformat()
    good = event()
    answer = await post(
        gateway,
        good,
        event(2, request_id="forged"),
        event(3, at=ahead),
        event(4, kind="dwell"),
        good,
        event(5, kind="dwell", dwell_ms=900),
    )
    assert answer.status_code == 200
    body = answer.json()
    assert (body["stored"], body["repeated"]) == (2, 1)
    assert [(one["index"], one["field"]) for one in body["refused"]] == [
        (1, "request_id"),
        (2, "at"),
        (3, "dwell_ms"),
    ]
    told = generate_latest(gateway.registry).decode()

    def counted(kind: str, outcome: str) -> float:
        return total(told, "interests_feedback_total", kind=kind, outcome=outcome)

    assert counted("click", "stored") == counted("click", "repeated") == 1
    assert (counted("click", "refused"), counted("dwell", "refused")) == (2, 1)
    assert counted("dwell", "stored") == 1


async def test_an_event_without_a_time_is_of_now(gateway: FakeGateway) -> None:
    before = int(time.time() * 1000)
    await post(gateway, event())
    [one] = gateway.events.taken.values()
    assert before <= one.event.at_ms <= int(time.time() * 1000)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "liked"}, "kind"),
        ({"dwell_ms": -1, "kind": "dwell"}, "dwell_ms"),
        ({"at": "yesterday"}, "at"),
        ({"user_id": ""}, "user_id"),
        ({"event_id": "e" * 65}, "event_id"),
        ({"more": 1}, "event"),
    ],
)
async def test_what_is_no_event_at_all_is_refused_by_field_and_the_rest_is_stored(
    gateway: FakeGateway, wrong: dict[str, Any], field: str
) -> None:
    body = (await post(gateway, event(1), event(2, **wrong), event(3))).json()
    [refusal] = body["refused"]
    assert (body["stored"], refusal["index"], refusal["field"]) == (2, 1, field)
    assert refusal["reason"]
    assert {event_id for _, event_id in gateway.events.taken} == {"e1", "e3"}


async def test_a_deleted_users_earlier_answers_can_no_longer_be_spoken_of(
    gateway: FakeGateway,
) -> None:
    async with client_of(gateway.app()) as client:
        assert (await client.delete("/v1/users/maya")).status_code == 204
        events = [event(1), event(2, user="jonas")]
        body = (await client.post("/v1/feedback", json={"events": events})).json()
    assert body["stored"] == 1
    assert [(one["index"], one["field"]) for one in body["refused"]] == [(0, "user_id")]


async def test_events_of_a_large_call_keep_their_places(gateway: FakeGateway) -> None:
    gateway.max_body_bytes = 10_000_000
    wrong = {3, 249, 250, 251, 999}
    events = [event(n, **({"kind": "liked"} if n in wrong else {})) for n in range(1_000)]
    body = (await post(gateway, *events)).json()
    assert body["stored"] == 1_000 - len(wrong)
    assert [one["index"] for one in body["refused"]] == sorted(wrong)


@pytest.mark.parametrize("body", [{}, {"events": []}, {"events": {}}, {"events": [{}], "more": 1}])
async def test_a_body_that_is_no_list_of_events_is_a_problem(
    gateway: FakeGateway, body: dict[str, Any]
) -> None:
    async with client_of(gateway.app()) as client:
        assert (await client.post("/v1/feedback", json=body)).status_code == 422


async def test_too_many_events_are_refused_with_the_limit(gateway: FakeGateway) -> None:
    gateway.max_body_bytes = 10_000_000
    answer = await post(gateway, *[event()] * 10_001)
    assert answer.status_code == 422
    assert "10000" in answer.json()["detail"]
    assert not gateway.events.taken


async def test_a_million_events_are_too_large_a_body(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        body = b'{"events":[' + b"{}," * 1_000_000 + b"{}]}"
        answer = await client.post("/v1/feedback", content=body)
    assert answer.status_code == 413


async def test_streams_that_fail_are_a_problem_that_may_be_tried_again(
    gateway: FakeGateway,
) -> None:
    gateway.events.broken = True
    answer = await post(gateway, event())
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:interests:problem:events-unavailable"


async def test_where_events_are_off_it_says_so(gateway: FakeGateway) -> None:
    gateway.events.on = False
    answer = await post(gateway, event())
    assert answer.status_code == 503
    assert "INTERESTS_EVENTS_KEPT" in answer.json()["detail"]


async def test_it_takes_the_right_to_send_feedback(gateway: FakeGateway) -> None:
    gateway.keys = {"reader": ("secret-1", frozenset({"interests"}))}
    answer = await post(gateway, event(), headers={"x-api-key": "secret-1"})
    assert answer.status_code == 403
    assert "feedback" in answer.json()["detail"]


async def test_every_answer_is_an_exposure_in_batches_too(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        alone = (await client.post("/v1/interests", json={"user_id": "u"})).json()
        both = {"requests": [{"user_id": "u"}, {"user_id": "v"}, {"user_id": ""}]}
        batch = (await client.post("/v1/interests:batch", json=both)).json()["results"]
    ids = [alone["request_id"], *(one["result"]["request_id"] for one in batch[:2])]
    assert sorted(one.request_id for one in gateway.events.exposed) == sorted(ids)


async def test_a_deleted_users_feedback_goes_too(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        await client.post("/v1/feedback", json={"events": [event(), event(2, user="jonas")]})
        assert (await client.delete("/v1/users/maya")).status_code == 204
        assert {one.event.user_id for one in gateway.events.taken.values()} == {"jonas"}
        gateway.events.broken = True
        assert (await client.delete("/v1/users/jonas")).status_code == 503
