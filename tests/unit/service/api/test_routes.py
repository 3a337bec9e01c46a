"""The contract over HTTP: what is accepted, what is refused with which field, what comes back."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from service import __version__
from service.api.wire_signals import SessionSignalIn, to_signals
from service.identity import Identity
from service.records import KeptList, Signal
from service.signals.codec import decode
from tests.parts.metrics import total
from tests.unit.service.api.fakes import READ_AT_MS, FakeGateway, client_of, hits


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(tmp_path)


def signal(text: str = "solar ferry", ago_s: float = 60, **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    return {"at": at.isoformat(), "domain": "search", "text": text, **more}


async def post(gateway: FakeGateway, body: Any, path: str = "/v1/interests") -> Any:
    async with client_of(gateway.app()) as client:
        return await client.post(path, json=body)


async def test_inline_signals_become_queries_and_candidates(gateway: FakeGateway) -> None:
    body = {"user_id": "u", "signals": [signal()], "explain": True, "limit": 3}
    answer = (await post(gateway, body)).json()
    assert answer["source"] == {"queries": "fresh", "candidates": "search"}
    assert answer["degraded"] == []
    assert answer["queries"][0] == {
        "text": "solar ferry",
        "weight": 1.0,  # the student's query stands for the signal too
        "hits": 10,
        "near": 0,
        "origin": "student",
        "stems_from": [0],
    }
    assert len(answer["candidates"]) == 3
    first = answer["candidates"][0]
    assert first["matched_queries"] == [0]
    assert first["ranks"] == [1]
    assert answer["coverage"] == {"queries": 1.0, "shards": 1.0}
    assert answer["signals"][0]["text"] == "solar ferry"
    assert set(answer["timings_ms"]) == {"signals", "generate", "retrieve", "fuse", "total"}
    assert Identity(b"secret").verified(answer["request_id"], "u")
    assert not Identity(b"secret").verified(answer["request_id"], "somebody else")


async def test_own_signals_are_prepared_for_before_the_student_writes(
    gateway: FakeGateway,
) -> None:
    prepared: list[tuple[str, ...]] = []
    generate = gateway.generator.generate

    async def noted(*arguments: Any) -> Any:
        prepared.extend(gateway.prepared)
        return await generate(*arguments)

    gateway.generator.generate = noted  # type: ignore[method-assign]
    await post(gateway, {"user_id": "u", "signals": [signal("lake ice"), signal("harbour", 50)]})
    assert prepared == [("harbour", "lake ice")]


async def test_an_unknown_user_gets_popular_articles(gateway: FakeGateway) -> None:
    answer = (await post(gateway, {"user_id": "nobody"})).json()
    assert answer["source"] == {"queries": "none", "candidates": "popular"}
    assert len(answer["candidates"]) == 10
    assert "signals" not in answer


async def test_popular_articles_fill_the_places_that_searches_leave(gateway: FakeGateway) -> None:
    body = {"user_id": "u", "signals": [signal(text="solar ferry")], "limit": 100}
    async with client_of(gateway.app()) as client:
        found = (await client.post("/v1/interests", json=body)).json()
        exact = (await client.post("/v1/interests", json={**body, "limit": 10})).json()
    origins = [one["origin"] for one in found["candidates"]]
    assert found["source"]["candidates"] == "search"
    assert origins == sorted(origins, reverse=True), "those that were searched come first"
    assert origins.count("search") == origins.count("popular") == 10
    assert all(not one["matched_queries"] for one in found["candidates"][10:])
    assert exact["candidates"] == found["candidates"][:10]


@pytest.mark.parametrize(
    "filters", [{"max_age_hours": 1}, {"exclude_ids": [hit.id for hit in hits("popular")]}]
)
async def test_a_list_that_the_filters_leave_empty_has_a_reason(
    gateway: FakeGateway, filters: dict[str, Any]
) -> None:
    answer = (await post(gateway, {"user_id": "nobody", **filters})).json()
    assert answer["candidates"] == []
    assert "no_candidates" in answer["degraded"]


async def test_stored_weights_of_any_size_give_scores_that_are_numbers(
    gateway: FakeGateway,
) -> None:
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    gateway.store.users["u"] = tuple(
        decode(f'e{i} {{"d":"search","t":"solar ferry {i}","w":1e308}}'.encode(), now_ms - i)
        for i in range(20)
    )
    answer = (await post(gateway, {"user_id": "u", "explain": True})).json()
    assert answer["source"]["candidates"] == "search"
    assert {one["weight"] for one in answer["queries"]} <= {50.0, 100.0}
    assert all(0 < one["score"] < 1e9 for one in answer["candidates"])


async def test_a_dead_store_leaves_inline_signals(gateway: FakeGateway) -> None:
    gateway.store.broken = True
    answer = (await post(gateway, {"user_id": "u", "signals": [signal()]})).json()
    assert answer["degraded"] == ["signals_unavailable"]
    assert answer["source"]["candidates"] == "search"


async def test_a_dead_index_leaves_popular_articles(gateway: FakeGateway) -> None:
    app = gateway.app()
    async with client_of(app) as client:
        gateway.index.broken = True
        answer = (
            await client.post("/v1/interests", json={"user_id": "u", "signals": [signal()]})
        ).json()
    assert answer["degraded"] == ["retrieval_unavailable"]
    assert answer["source"]["candidates"] == "popular"
    assert answer["coverage"] == {"queries": 0.0, "shards": 0.0}


async def test_the_stages_that_failed_are_counted_also_where_the_request_is_refused(
    gateway: FakeGateway,
) -> None:
    gateway.store.broken = gateway.index.broken = True
    gateway.with_popular = False
    answer = await post(gateway, {"user_id": "u", "signals": [signal()]})
    assert answer.status_code == 503
    text = generate_latest(gateway.registry).decode()
    failed = {"signals": "signals_unavailable", "retrieve": "retrieval_unavailable"}
    for stage, reason in {**failed, "fuse": "nothing_to_serve"}.items():
        assert total(text, "interests_stage_errors_total", stage=stage, reason=reason) == 1
    assert total(text, "interests_stage_errors_total") == 3
    assert total(text, "interests_runs_total", outcome="failed") == 1


async def test_without_index_and_snapshot_it_is_503(gateway: FakeGateway) -> None:
    gateway.index.broken = True
    gateway.with_popular = False
    answer = await post(gateway, {"user_id": "u", "signals": [signal()]})
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:interests:problem:nothing-to-serve"


async def test_read_and_excluded_articles_do_not_come_back(gateway: FakeGateway) -> None:
    read = signal("tram", domain="news", item="solar ferry-0")
    body = {
        "user_id": "u",
        "signals": [signal(), {**read, "domain": "news"}],
        "exclude_ids": ["solar ferry-1"],
    }
    answer = (await post(gateway, body)).json()
    ids = {one["id"] for one in answer["candidates"]}
    assert "solar ferry-2" in ids
    assert not ids & {"solar ferry-0", "solar ferry-1"}


@pytest.mark.parametrize("age", [{}, {"max_age_hours": 6}])
async def test_every_search_leaves_out_what_is_more_than_minutes_ahead(
    gateway: FakeGateway, age: dict[str, int]
) -> None:
    before_ms = time.time() * 1000
    await post(gateway, {"user_id": "u", "signals": [signal()], **age})
    (filters,) = gateway.index.filters
    assert filters.published_until_ms is not None
    assert 4 * 60_000 <= filters.published_until_ms - before_ms <= 5 * 60_000 + 10_000
    assert filters.published_until_ms % 60_000 == 0, "requests of one minute share what is found"
    assert (filters.published_after_ms is None) == (not age)


async def test_a_story_that_was_read_does_not_come_back_under_another_id(
    gateway: FakeGateway,
) -> None:
    click = signal("Reuters: solar ferry story number 2", domain="news", item="copy-of-another")
    answer = (await post(gateway, {"user_id": "u", "signals": [signal(), click]})).json()
    ids = {one["id"] for one in answer["candidates"]}
    assert {"solar ferry-1", "solar ferry-3"} <= ids
    assert "solar ferry-2" not in ids


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "x" * 129}, "user_id"),
        ({"user_id": "a\nb"}, "user_id"),
        ({"user_id": "a\u0000b"}, "user_id"),
        ({"user_id": 7}, "user_id"),
        ({"user_id": "u", "limit": 0}, "limit"),
        ({"user_id": "u", "limit": 501}, "limit"),
        ({"user_id": "u", "limit": "many"}, "limit"),
        ({"user_id": "u", "max_queries": 33}, "max_queries"),
        ({"user_id": "u", "timeout_ms": 19}, "timeout_ms"),
        ({"user_id": "u", "max_age_hours": -1}, "max_age_hours"),
        ({"user_id": "u", "exclude_ids": ["x"] * 1001}, "exclude_ids"),
        ({"user_id": "u", "colour": "red"}, "body"),
        ({"user_id": "u", "variant": "other@9"}, "variant"),
        ({"user_id": "u", "signals": [{"domain": "search"}]}, "signals[0].text"),
        ({"user_id": "u", "signals": [signal(at="yesterday")]}, "signals[0].at"),
        ({"user_id": "u", "signals": [signal(domain="dream")]}, "signals[0].domain"),
        ({"user_id": "u", "signals": [signal(), signal("")]}, "signals[1].text"),
        ({"user_id": "u", "signals": [signal("  ")]}, "signals[0].text"),
        ({"user_id": "u", "signals": [signal(weight=0)]}, "signals[0].weight"),
        ({"user_id": "u", "signals": [signal(), signal(ago_s=-86_400)]}, "signals[1].at"),
        ({"user_id": "u", "signals": [signal(at="2026-01-01T00:00:00")]}, "signals[0].at"),
        ({"user_id": "u", "signals": [signal(at="9999-01-01T00:00:00Z")]}, "signals[0].at"),
        ({"user_id": "u", "signals": [signal()] * 201}, "signals"),
        ([], "body"),
    ],
)
async def test_bad_input_is_422_and_names_the_field(
    gateway: FakeGateway, body: Any, field: str
) -> None:
    answer = await post(gateway, body)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["type"] == "urn:interests:problem:invalid-input"
    assert problem["errors"][0]["field"] == field
    assert problem["errors"][0]["message"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"user_id": "\xff\xfe"}',
        b'{"user_id": "\\ud800"}',
        b"[" * 60_000,
        b'{"user_id": "u", "limit": 1e999}',
        b'{"user_id": "u", "max_age_hours": NaN}',
        b'{"user_id": "u", "signals": [{"at": 1e308, "domain": "news", "text": "x"}]}',
        b'{"user_id": "u", "signals": [{"at": "2026-01-01T00:00:00Z", "domain": "news",'
        b' "text": "\\udfff"}]}',
    ],
)
async def test_bytes_that_are_no_request_are_422(gateway: FakeGateway, content: bytes) -> None:
    async with client_of(gateway.app()) as client:
        headers = {"content-type": "application/json"}
        answer = await client.post("/v1/interests", content=content, headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"]


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "application/x-www-form-urlencoded"}, {"content-type": "text/plain"}],
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/interests", b'{"user_id": "u"}'),
        ("/v1/interests:batch", b'{"requests": [{"user_id": "u"}]}'),
    ],
)
async def test_json_is_read_whatever_the_header_calls_it(
    gateway: FakeGateway, headers: dict[str, str], path: str, body: bytes
) -> None:
    async with client_of(gateway.app()) as client:
        answer = await client.post(path, content=body, headers=headers)
        named = {"content-type": "application/json"}
        same = await client.post(path, content=body, headers=named)
    assert answer.status_code == same.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/x-www-form-urlencoded"}])
@pytest.mark.parametrize("content", [b"user_id=u", b"\xff\xfe", b"<user>u</user>"])
async def test_what_is_not_json_and_not_called_so_is_415_and_says_what_is_wanted(
    gateway: FakeGateway, headers: dict[str, str], content: bytes
) -> None:
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", content=content, headers=headers)
    assert answer.status_code == 415
    assert answer.json()["type"] == "urn:interests:problem:unsupported-media-type"
    assert "Content-Type: application/json" in answer.json()["detail"]


async def test_the_problem_never_repeats_the_input(gateway: FakeGateway) -> None:
    answer = await post(gateway, {"user_id": "u", "limit": "my-secret-search"})
    assert "my-secret-search" not in answer.text


async def test_signals_of_the_session_need_no_time_and_the_last_is_the_newest(
    gateway: FakeGateway,
) -> None:
    session = [{"domain": "search", "text": text} for text in ("tram", "solar ferry", "bridge")]
    long_ago = signal("harbour", ago_s=3_600)
    body = {"user_id": "u", "signals": [*session, long_ago], "explain": True}
    before = datetime.now(UTC)
    shown = (await post(gateway, body)).json()["signals"]
    after = datetime.now(UTC)
    assert [one["text"] for one in shown] == ["harbour", "tram", "solar ferry", "bridge"]
    second = timedelta(seconds=1)
    for one in shown[1:]:
        assert before - second <= datetime.fromisoformat(one["at"]) <= after


def test_signals_without_a_time_lie_a_millisecond_apart_up_to_the_request() -> None:
    session = [SessionSignalIn(domain="search", text=f"{i}") for i in range(3)]
    assert [one.at_ms for one in to_signals(session, 1_000)] == [998, 999, 1_000]


@pytest.mark.parametrize("path", ["/v1/signals", "/v1/interests"])
@pytest.mark.parametrize(
    ("at", "remedy"),
    [
        (1_764_000_000, "looks like seconds: give milliseconds or ISO 8601"),
        (1_764_000_000.5, "looks like seconds: give milliseconds or ISO 8601"),
        (1_764_000_000_000_000, "is not a time in milliseconds since 1970"),
        ("1764000000", "must be ISO 8601 with a time zone"),
        ("1764000000000", "must be ISO 8601 with a time zone"),
        (" -1.5e9", "must be ISO 8601 with a time zone"),
    ],
)
async def test_a_number_that_may_be_seconds_is_no_time(
    gateway: FakeGateway, path: str, at: object, remedy: str
) -> None:
    body = {"user_id": "u", "signals": [signal() | {"at": at}]}
    answer = await post(gateway, body, path)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error == {"field": "signals[0].at", "message": remedy}


async def test_milliseconds_are_read_as_in_files(gateway: FakeGateway) -> None:
    body = {"user_id": "u", "signals": [signal() | {"at": 1_764_000_000_007}]}
    assert (await post(gateway, body, "/v1/signals")).json()["stored"] == 1
    ((stored,),) = gateway.store.users.values()
    assert stored.at_ms == 1_764_000_000_007


async def test_a_signal_to_store_needs_a_time(gateway: FakeGateway) -> None:
    body = {"user_id": "u", "signals": [{"domain": "search", "text": "tram"}]}
    answer = await post(gateway, body, "/v1/signals")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "signals[0].at"
    assert gateway.store.users == {}


async def test_signals_are_acknowledged_and_a_repeat_changes_nothing(gateway: FakeGateway) -> None:
    body = {"user_id": "u", "signals": [signal("a", 50), signal("b", 40, id="e-1")]}
    async with client_of(gateway.app()) as client:
        first = await client.post("/v1/signals", json=body)
        again = await client.post("/v1/signals", json=body)
    assert first.json() == {"stored": 2, "repeated": 0, "dropped": 0}
    assert again.json() == {"stored": 0, "repeated": 2, "dropped": 0}


async def test_signals_are_503_when_the_store_does_not_acknowledge(gateway: FakeGateway) -> None:
    gateway.store.broken = True
    answer = await post(gateway, {"user_id": "u", "signals": [signal()]}, "/v1/signals")
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:interests:problem:signals-unavailable"


async def test_a_deleted_user_is_unknown(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        stored = {"user_id": "a/b {c} %41", "signals": [signal()]}
        await client.post("/v1/signals", json=stored)
        assert "a/b {c} %41" in gateway.store.users
        gone = await client.delete("/v1/users/a%2Fb%20%7Bc%7D%20%2541")
    assert gone.status_code == 204
    assert gateway.store.users == {}


async def test_what_is_stored_of_a_user_can_be_read(gateway: FakeGateway) -> None:
    gateway.store.users["a/b {c} %41"] = (
        Signal(1_795_112_640_007, "purchase", "Tripod", "o-1", "sku-77", "photo", 2.0),
        Signal(2**53, "search", "from a wrong clock", "o-2"),
    )
    gateway.store.kept = (KeptList("s@1/t/d", "print", READ_AT_MS - 90_500, ()),)
    async with client_of(gateway.app()) as client:
        answer = await client.get("/v1/users/a%2Fb%20%7Bc%7D%20%2541/signals")
    assert answer.status_code == 200
    assert answer.json() == {
        "user_id": "a/b {c} %41",
        "signals": [
            {
                "at": "2026-11-19T18:24:00.007Z",
                "domain": "purchase",
                "text": "Tripod",
                "id": "o-1",
                "item": "sku-77",
                "category": "photo",
                "weight": 2.0,
            },
            {
                "at": None,
                "domain": "search",
                "text": "from a wrong clock",
                "id": "o-2",
                "item": None,
                "category": None,
                "weight": 1.0,
            },
        ],
        "kept": [{"student": "s@1/t/d", "age_s": 90.5}],
        "unreadable": 0,
    }


async def test_an_unknown_user_has_no_signals(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        answer = await client.get("/v1/users/nobody/signals")
        odd = await client.get("/v1/users/%E9/signals")
    assert answer.status_code == 200
    assert answer.json() == {"user_id": "nobody", "signals": [], "kept": [], "unreadable": 0}
    assert odd.status_code == 422
    assert odd.json()["errors"][0]["field"] == "user_id"


async def test_signals_that_cannot_be_read_are_503(gateway: FakeGateway) -> None:
    gateway.store.broken = True
    async with client_of(gateway.app()) as client:
        answer = await client.get("/v1/users/u/signals")
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:interests:problem:signals-unavailable"


async def test_readiness_latches_and_drain_ends_it(gateway: FakeGateway) -> None:
    app = gateway.app()
    gateway.index.broken = True
    async with client_of(app) as client:
        cold = await client.get("/readyz")
        gateway.index.broken = False
        warm = await client.get("/readyz")
        gateway.index.broken = True
        hurt = await client.get("/readyz")
        app.state.context.readiness.draining = True
        draining = await client.get("/readyz")
        alive = await client.get("/healthz")
    assert [one.status_code for one in (cold, warm, hurt, draining)] == [503, 200, 200, 503]
    assert hurt.json()["checks"]["index"] == "the index is broken"
    assert alive.status_code == 200


async def test_the_root_says_where_to_go(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        root = await client.get("/")
        assert root.status_code == 200
        assert root.json()["name"] == "interests"
        assert root.json()["version"] == __version__
        links = root.json()["links"]
        assert set(links) == {"docs", "openapi", "health", "ready"}
        await client.get("/readyz")
        for path in links.values():
            assert (await client.get(path)).status_code == 200, path


@pytest.mark.parametrize("path", ["/v1/interests/", "/v1/students/", "/healthz/", "/docs/"])
async def test_a_trailing_slash_is_not_found_and_redirects_nowhere(
    gateway: FakeGateway, path: str
) -> None:
    async with client_of(gateway.app()) as client:
        for method in ("GET", "POST"):
            answer = await client.request(method, path, headers={"host": "elsewhere.example"})
            assert answer.status_code == 404
            assert answer.json()["type"] == "urn:interests:problem:not-found"
            assert "location" not in answer.headers


async def test_metrics_name_no_user_and_no_query(gateway: FakeGateway) -> None:
    async with client_of(gateway.app()) as client:
        body = {"user_id": "private-user", "signals": [signal("private words")]}
        await client.post("/v1/interests", json=body)
        text = (await client.get("/metrics")).text
    assert 'interests_requests_total{route="/v1/interests",status="200"} 1.0' in text
    assert 'interests_stage_seconds_bucket{le="0.001",stage="fuse"}' in text
    assert "private" not in text


@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
async def test_metrics_come_in_the_format_that_is_accepted(gateway: FakeGateway, kind: str) -> None:
    async with client_of(gateway.app()) as client:
        answer = await client.get("/metrics", headers={"accept": f"{kind};version=1.0.0"})
    assert answer.headers["content-type"].startswith(kind)
    assert ("# EOF" in answer.text) == (kind != "text/plain")


async def test_a_name_that_is_no_utf8_deletes_nobody(gateway: FakeGateway) -> None:
    gateway.store.users["\ufffd"] = ()
    async with client_of(gateway.app()) as client:
        refused = await client.delete("/v1/users/%E9")
        deleted = await client.delete("/v1/users/%EF%BF%BD")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "user_id"
    assert deleted.status_code == 204
    assert gateway.store.users == {}
