"""A visit over HTTP: what is sent, in which order, and what a refusal leads to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from models.demo.users import Acts
from models.online.days import Plan, arrivals, introduce, play
from models.online.readers import Habits, Reader, readers
from models.online.visits import Visitor
from models.progress import untold
from service.errors import ConfigurationError

ACTS = Acts()
CROWD = readers(5)
Answers = Callable[[str, dict[str, Any]], httpx.Response]


def answer_of(reader: Reader, arm: str = "new") -> dict[str, Any]:
    """Ten articles of a story that the reader follows."""
    story = reader.follows[0]
    return {
        "request_id": "signed",
        "experiments": [{"key": "k", "layer": "l", "assigned": arm, "served": arm, "reason": None}],
        "source": {"queries": "fresh", "candidates": "search"},
        "candidates": [{"id": f"{story}-{n:02d}", "title": f"title {n}"} for n in range(1, 13)],
    }


class Service:
    """Answers as the gateway does, and remembers what it was sent."""

    def __init__(self, arm: str = "new") -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.arm = arm
        self.refusals = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, orjson.loads(request.content)
        if self.refusals and path == "/v1/interests":
            self.refusals -= 1
            return httpx.Response(429, headers={"retry-after": "0"}, json={"title": "full"})
        self.sent.append((path, body))
        if path == "/v1/interests":
            reader = next(one for one in CROWD if one.id == body["user_id"])
            return httpx.Response(200, json=answer_of(reader, self.arm))
        if path == "/v1/feedback":
            return httpx.Response(200, json={"stored": 1, "repeated": 0, "refused": []})
        return httpx.Response(200, json={"stored": 1, "repeated": 0, "dropped": 0})

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for to, body in self.sent if to == path]


def visitor(service: Callable[[httpx.Request], httpx.Response]) -> Visitor:
    client = httpx.AsyncClient(transport=httpx.MockTransport(service), base_url="http://gateway")
    return Visitor(client, ACTS, Habits(), seed=7, timeout_ms=None)


async def test_a_visit_tells_of_every_shown_article_and_stores_clicks_as_signals() -> None:
    service = Service()
    going = visitor(service)
    for number in range(20):
        await going.visit(CROWD[0], number)
    events = [event for body in service.bodies("/v1/feedback") for event in body["events"]]
    kinds = [event["kind"] for event in events]
    clicked = [event["article_id"] for event in events if event["kind"] == "click"]
    assert kinds.count("impression") == 200 == going.played.impressions
    assert kinds.count("click") == kinds.count("dwell") == len(clicked) == going.played.clicks > 0
    ids = [(event["request_id"], event["event_id"]) for event in events]
    assert len(set(ids)) == len(ids)
    stored = [row for body in service.bodies("/v1/signals") for row in body["signals"]]
    assert [row["item"] for row in stored if "-click-" in row["id"]] == clicked
    assert going.played.by_arm == {("k", "new"): 20}


async def test_readers_do_the_same_whichever_arm_served_them() -> None:
    async def done(arm: str) -> list[tuple[str, str]]:
        service = Service(arm)
        going = visitor(service)
        for number in range(10):
            await going.visit(CROWD[1], number)
        return [
            (event["kind"], event["article_id"])
            for body in service.bodies("/v1/feedback")
            for event in body["events"]
        ]

    assert await done("control") == await done("new")


async def test_a_reader_is_asked_to_come_back_and_does() -> None:
    service = Service()
    service.refusals = 2
    going = visitor(service)
    await going.visit(CROWD[0], 1)
    assert (going.played.visits, going.played.refused) == (1, 0)
    service.refusals = 99
    await going.visit(CROWD[0], 2)
    assert (going.played.visits, going.played.refused) == (2, 1)


async def test_a_service_that_is_not_there_is_said_in_a_line() -> None:
    def nobody(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ConfigurationError, match="no gateway answers at http://gateway"):
        await visitor(nobody).introduce(CROWD[0])


async def test_feedback_that_is_refused_is_no_silent_loss() -> None:
    service = Service()

    def refuses(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/feedback":
            refused = [{"index": 0, "field": "request_id", "reason": "is not ours"}]
            return httpx.Response(200, json={"stored": 0, "repeated": 0, "refused": refused})
        return service(request)

    with pytest.raises(ConfigurationError, match="is not ours"):
        await visitor(refuses).visit(CROWD[0], 1)


def test_a_day_has_a_number_of_visits_that_follows_from_its_number() -> None:
    plan = Plan(days=2, day_s=60, visits=1.5)
    one = arrivals(plan, 400, 1, 7)
    assert len(one) == pytest.approx(600, rel=0.1)
    assert one == arrivals(plan, 400, 1, 7) != arrivals(plan, 400, 2, 7)
    assert [arrival.at_s for arrival in one] == sorted(arrival.at_s for arrival in one)
    assert all(0 <= arrival.at_s <= 60 for arrival in one)
    assert len({(arrival.reader, arrival.number) for arrival in one}) == len(one)


async def test_all_visits_are_made_and_one_readers_never_overlap() -> None:
    service = Service()
    going = visitor(service)
    under_way: set[str] = set()
    visit = going.visit

    async def watched(reader: Reader, number: int) -> None:
        assert reader.id not in under_way
        under_way.add(reader.id)
        await asyncio.sleep(0.002)
        await visit(reader, number)
        under_way.remove(reader.id)

    going.visit = watched  # type: ignore[method-assign]
    plan = Plan(days=2, day_s=0.05, visits=4)
    told: list[int] = []
    await introduce(going, CROWD, 2, untold)
    await play(going, CROWD, plan, 7, told.append)
    expected = sum(len(arrivals(plan, len(CROWD), day, 7)) for day in (1, 2))
    assert sum(told) == going.played.visits == expected
