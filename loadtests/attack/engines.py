"""What an engine may answer, and lists that must not come back."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import orjson

from loadtests.attack.stage import Stage, signal_now
from loadtests.attack.table import Seen, attack

_MEMORY_MB = 100.0
_USERS = 240
_AT_ONCE = 24


def _chunk(text: object, index: int = 0) -> str:
    return orjson.dumps(
        {"choices": [{"index": index, "text": text, "finish_reason": None}]}
    ).decode()


def _ask(stage: Stage, user: str) -> httpx.Response:
    signals = [signal_now("coffee prices in Hamburg")]
    return stage.post({"user_id": user, "signals": signals, "timeout_ms": 1_000})


def _still_served(stage: Stage, **behaviour: object) -> Seen:
    """Seven users meet the fault, then one of them asks again without it."""
    users = [f"engine-{uuid.uuid4().hex[:8]}" for _ in range(8)]
    memory = stage.gateway.rss_mb()
    with stage.engine_with(**behaviour), ThreadPoolExecutor(8) as pool:
        statuses = {answer.status_code for answer in pool.map(lambda u: _ask(stage, u), users)}
    grown = stage.gateway.rss_mb() - memory
    again = _ask(stage, users[0])
    took = again.elapsed.total_seconds()
    held = statuses == {200} and again.status_code == 200 and took < 2 and grown < _MEMORY_MB
    return Seen(f"{sorted(statuses)}, then {again.status_code} in {took:.1f} s", held)


@attack("engine", "a chunk whose text is a number")
def _number_as_text(stage: Stage) -> Seen:
    return _still_served(stage, fault="nonsense", event=_chunk(5))


@attack("engine", "a chunk whose text is a list")
def _list_as_text(stage: Stage) -> Seen:
    return _still_served(stage, fault="nonsense", event=_chunk(["a"]))


@attack("engine", "a sample of index -1")
def _negative_index(stage: Stage) -> Seen:
    return _still_served(stage, fault="nonsense", event=_chunk("a", -1))


@attack("engine", "a line without an end")
def _flood(stage: Stage) -> Seen:
    return _still_served(stage, fault="flood")


@attack("engine", "the end at once")
def _done(stage: Stage) -> Seen:
    return _still_served(stage, fault="done")


@attack("engine", "no chunk, ever")
def _hang(stage: Stage) -> Seen:
    return _still_served(stage, fault="hang")


@attack("users", f"{_USERS} users deleted while their lists are made")
def _deleted_lists(stage: Stage) -> Seen:
    def delete_while_asked(number: int) -> bool:
        user = f"deleted-{uuid.uuid4().hex[:8]}-{number}"
        with ThreadPoolExecutor(1) as beside:
            asked = beside.submit(_ask, stage, user)
            httpx.delete(f"{stage.gateway.url}/v1/users/{user}", timeout=30)
            asked.result()
        httpx.delete(f"{stage.gateway.url}/v1/users/{user}", timeout=30)
        answer = stage.post({"user_id": user, "timeout_ms": 1_000}).json()
        return answer.get("source", {}).get("queries") not in (None, "none")

    with stage.engine_with(step_ms=3.0), ThreadPoolExecutor(_AT_ONCE) as pool:
        came_back = sum(pool.map(delete_while_asked, range(_USERS)))
    return Seen(f"{came_back} lists came back", came_back == 0)
