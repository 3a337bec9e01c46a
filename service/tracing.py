"""Traces, as the code that is traced sees them: nothing happens here.

`service/tracing_otel.py` sends them, with the extra `tracing`; without it, and by default, all of
it is `UNTRACED`. Names and values of spans come from this project's code alone: words from closed
lists, the names of students and numbers, never what a caller or a user has written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from types import TracebackType
from typing import Protocol

Value = str | int | float | bool


class Span(Protocol):
    """A piece of work, while it is done."""

    @property
    def trace_id(self) -> str | None:
        """32 hex characters; None where its trace is not sampled."""
        ...

    def note(self, **values: Value) -> None:
        """Say what the work was about, or what came of it."""
        ...


class Tracing(Protocol):
    """Makes spans. Each is within the one whose block surrounds it, also across tasks."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Send spans for the block, and what is left at its end. Clients made before are missed."""
        ...

    def request(
        self, method: str, route: str, traceparent: bytes | None, *, trusted: bool
    ) -> AbstractContextManager[Span]:
        """A request that has arrived, with the W3C header `traceparent` that it brought.

        `trusted` callers decide whether it is sampled; others can at the most prevent it.
        """
        ...

    def span(self, name: str) -> AbstractContextManager[Span]:
        """A part of the work that is under way."""
        ...

    def call(self, method: str, server: str) -> AbstractContextManager[Span]:
        """A call by HTTP to a server (a URL that names no user), up to the head of its answer.

        For clients that are not instrumented by themselves.
        """
        ...

    def headers(self) -> Mapping[str, str]:
        """What tells a server that is called the trace; empty where there is none."""
        ...

    def note(self, **values: Value) -> None:
        """`Span.note` of the innermost span."""
        ...

    def trace_id(self) -> str | None:
        """The trace that the running code belongs to; None where it is not sampled."""
        ...


class NoSpan:
    """A span that nobody will see."""

    trace_id = None

    def note(self, **values: Value) -> None:
        """Forget it."""

    def __enter__(self) -> NoSpan:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


NO_SPAN = NoSpan()


class Untraced:
    """Makes no spans."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do nothing for the block."""
        yield

    def request(
        self, method: str, route: str, traceparent: bytes | None, *, trusted: bool
    ) -> NoSpan:
        """None."""
        return NO_SPAN

    def span(self, name: str) -> NoSpan:
        """None."""
        return NO_SPAN

    def call(self, method: str, server: str) -> NoSpan:
        """None."""
        return NO_SPAN

    def headers(self) -> Mapping[str, str]:
        """None."""
        return {}

    def note(self, **values: Value) -> None:
        """Forget it."""

    def trace_id(self) -> str | None:
        """None."""
        return None


UNTRACED: Tracing = Untraced()
