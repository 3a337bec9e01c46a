"""Entries of the streams of events, written by hand as gateways write them."""

from __future__ import annotations

import base64
import struct
from itertools import count
from typing import Any

import orjson
import redis

from service.events.streams import partition_of, stream_key

PROCESS = 40
"""A process of partition 0."""
Object = dict[str, Any]
_NUMBERS = count(1)


def request_id(at_ms: int, process: int, number: int) -> str:
    """A request id of that time, process and sequence number, signed by nobody."""
    raw = struct.pack(">IIIQ", at_ms // 1000, process, number, 7) + bytes(8)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def exposure(
    at_ms: int, number: int, user: str = "maya", process: int = PROCESS, **more: Any
) -> Object:
    """An answer to a user with three candidates."""
    fields: Object = {
        "v": 1,
        "id": request_id(at_ms, process, number),
        "at": at_ms,
        "process": process,
        "seq": number,
        "user": user,
        "student": "small@9",
        "places": [["small-10", "students", "control", "control", None]],
        "queries_from": "fresh",
        "candidates_from": "search",
        "degraded": [],
        "coverage": [1.0, 0.5],
        "queries": [["tents", 1.0, 3, 1, "student"], ["stoves", 0.5, 2, 0, "student"]],
        "ids": ["a1", "a2", "a3"],
        "scores": [3.0, 2.0, 1.0],
        "matched": [[0, 1], [0], [1]],
        "ms": [1.5, 20.0, 9.0, 0.5, 31.0],
        "signals": {"search": 4, "news": 1},
    }
    return fields | more


def feedback(of: Object, event: str, article: str = "a1", **more: Any) -> Object:
    """A click of an exposure's user, two seconds after it."""
    fields: Object = {
        "v": 1,
        "id": of["id"],
        "event": event,
        "user": of["user"],
        "kind": "click",
        "article": article,
        "at": of["at"] + 2_000,
        "dwell_ms": None,
    }
    return fields | more


def shadow(of: Object, **more: Any) -> Object:
    """The same request served by another student."""
    same = ("id", "at", "user", "queries_from", "candidates_from", "degraded", "queries", "ms")
    fields: Object = {name: of[name] for name in same} | {
        "v": 1,
        "key": "small-10-shadow",
        "layer": "students",
        "arm": "shadow",
        "student": "small@10",
        "ids": ["a3", "b1"],
        "scores": [2.0, 1.0],
    }
    return fields | more


def end(process: int, number: int, at_ms: int) -> Object:
    """The orderly end of a process that used the numbers below this one."""
    return {"v": 1, "process": process, "seq": number, "at": at_ms}


def add(
    client: redis.Redis | redis.RedisCluster,
    kind: str,
    given: Object | bytes,
    *,
    partition: int = 0,
    at_ms: int | None = None,
) -> str:
    """Write an entry, as if at a time (now, by Redis's clock, when absent). Returns its id."""
    name = "*" if at_ms is None else f"{at_ms}-{next(_NUMBERS)}"
    data = given if isinstance(given, bytes) else orjson.dumps(given)
    fields: Any = {"k": kind, "d": data}
    added: Any = client.xadd(stream_key(partition), fields, id=name)
    return str(added.decode())


def expose(client: redis.Redis | redis.RedisCluster, *given: Object) -> None:
    """Write exposures where and when their processes would have."""
    for one in given:
        add(client, "x", one, partition=partition_of(one["process"]), at_ms=one["at"] + 20)
