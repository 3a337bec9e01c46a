"""Records for these tests, with what does not matter filled in."""

from __future__ import annotations

from typing import Any

from service.records import (
    Decoding,
    Domain,
    GenerationRequest,
    KeptList,
    Prompt,
    Query,
    Signal,
    StudentSpec,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_790_000_000_000
NOW_S = NOW_MS / 1000


def signal(text: str, domain: Domain = "search", age_ms: int = 0, **more: Any) -> Signal:
    at_ms = NOW_MS - age_ms
    return Signal(at_ms=at_ms, domain=domain, text=text, id=more.pop("id", text[:20]), **more)


def student(n: int = 1, version: str = "1") -> StudentSpec:
    return StudentSpec(
        name="tiny",
        version=version,
        model="tiny-1",
        template="lines-abc",
        prompt_budget=512,
        decoding=Decoding(n=n),
        timeout_ms=1000,
    )


def request(
    *signals: Signal,
    kept: tuple[KeptList, ...] = (),
    max_queries: int = 8,
    may_keep: bool = True,
    fingerprint: str = "now",
    spec: StudentSpec | None = None,
) -> GenerationRequest:
    return GenerationRequest(
        user_id="ada",
        student=spec or student(),
        signals=signals,
        prompt=Prompt((1, 2, 3), signals),
        fingerprint=fingerprint,
        max_queries=max_queries,
        read_at_ms=NOW_MS,
        kept=kept,
        may_keep=may_keep,
    )


def kept(
    *texts: str, fingerprint: str = "now", age_ms: int = 0, spec: StudentSpec | None = None
) -> KeptList:
    queries = tuple(Query(text) for text in texts)
    return KeptList((spec or student()).list_key, fingerprint, NOW_MS - age_ms, queries)
