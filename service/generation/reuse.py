"""Lists that need not be written again: the signals in the prompt are those of last time."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from service.protocols import Generator
from service.records import (
    Degraded,
    GenerationRequest,
    KeptList,
    Query,
    QueryList,
    QuerySource,
    Signal,
)
from service.remembered import Remembered

Keep = Callable[[str, KeptList], Awaitable[None]]
"""Writes a user's kept list to the store."""

KEPT_QUERIES = 32
"""Queries of a kept list: as many as the largest request may ask for. So every list that is asked
of a student is as long as it can be, and a kept one serves a larger request than it was made for;
what a student writes does not depend on how many of its queries are wanted."""
MAX_PENDING = 256
"""Lists that may wait to be written at once; with a store that hangs, further ones are not kept."""

_log = logging.getLogger(__name__)


def fingerprint(signals: Sequence[Signal]) -> str:
    """Digest of the signals a prompt shows, in their order: 32 hex characters.

    It differs as soon as one signal's id, time, domain or text does.
    """
    digest = hashlib.blake2b(digest_size=16)
    for signal in signals:
        for part in (signal.id, str(signal.at_ms), signal.domain, signal.text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(4, "big"))
            digest.update(data)
    return digest.hexdigest()


class ReusingGenerator:
    """Answers from a kept list whose fingerprint still fits; keeps the lists it lets be written.

    `max_age_s` bounds a reused list's age (0: none is reused), which counts to the moment when the
    user's state was read. Kept are fresh lists that are whole and that the request lets be kept.
    `asked` says what is asked of the inner generator, where it may be less than what was requested.
    """

    def __init__(
        self,
        inner: Generator,
        keep: Keep,
        max_age_s: float,
        asked: Callable[[GenerationRequest], GenerationRequest] = lambda request: request,
    ) -> None:
        self._inner = inner
        self._asked = asked
        self._keep = keep
        self._max_age_s = max_age_s
        self._pending: set[asyncio.Task[None]] = set()
        self._wanted: Remembered[tuple[Query, ...]] = Remembered()

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        """A kept list if one fits, else the inner generator's. Raises what that raises."""
        if (kept := self._fitting(request)) is not None:
            return kept
        asked = self._asked(request)
        if asked is not request and (kept := self._fitting(asked)) is not None:
            return kept
        request = asked
        whole = replace(request, max_queries=max(KEPT_QUERIES, request.max_queries))
        written = await self._inner.generate(whole, until)
        if (
            request.may_keep
            and written.source is QuerySource.FRESH
            and Degraded.GENERATION_PARTIAL not in written.degraded
        ):
            self._keep_soon(request, written)
        return replace(written, queries=written.queries[: request.max_queries])

    def _first(self, kept: KeptList, most: int) -> tuple[Query, ...]:
        """The queries that are wanted of a kept list: the same tuple for the same list."""
        first = self._wanted.get((kept,), most)
        if first is None:
            first = kept.queries[:most]
            self._wanted.put(first, (kept,), most)
        return first

    async def close(self, timeout_s: float = 2.0) -> None:
        """Wait a moment for the lists still being written, then give them up."""
        if not self._pending:
            return
        _, late = await asyncio.wait(self._pending, timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _fitting(self, request: GenerationRequest) -> QueryList | None:
        for kept in request.kept:
            # The key is put together each time it is asked for, so it is asked for last.
            if (
                kept.fingerprint == request.fingerprint
                and is_younger(kept, self._max_age_s, request.read_at_ms)
                and kept.student == request.student.list_key
            ):
                return QueryList(self._first(kept, request.max_queries), QuerySource.REUSED)
        return None

    def _keep_soon(self, request: GenerationRequest, written: QueryList) -> None:
        if len(self._pending) >= MAX_PENDING:
            _log.warning("a list is not kept: %d others wait to be written", MAX_PENDING)
            return
        kept = KeptList(
            request.student.list_key, request.fingerprint, request.read_at_ms, written.queries
        )
        task = asyncio.create_task(keep_quietly(self._keep, request.user_id, kept))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)


async def keep_quietly(keep: Keep, user_id: str, kept: KeptList) -> None:
    """Keep a list; a failure costs one generation later and is only logged."""
    try:
        await keep(user_id, kept)
    except Exception as error:
        _log.warning("a list could not be kept: %s: %s", type(error).__name__, error)


def is_younger(kept: KeptList, max_age_s: float, now_ms: int) -> bool:
    """Whether a kept list is less than `max_age_s` from now; another store's clock may be ahead."""
    return bool(kept.queries) and abs(now_ms - kept.made_at_ms) < max_age_s * 1000
