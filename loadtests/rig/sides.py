"""Sides that are asked over HTTP: what one turn of a loop says of a server."""

from __future__ import annotations

import time
from collections.abc import Callable

import uvloop

from loadtests.local_gateway import HOST
from loadtests.rig.cores import cpu_s
from loadtests.rig.loops import Calls, Judge, Make, answered, closed_loop, open_loop
from loadtests.rig.rounds import Figures, Side
from service.errors import ConfigurationError

PER_S = "answers/s"
CPU_MS = "CPU ms an answer"
CORE = "of its core"
GENERATOR = "generator"
"""Share of a core that the load generator used: near 1 it is what was measured."""
NOT_OK = "not ok"


def closed_side(
    name: str,
    port: int,
    make: Make,
    *,
    callers: int,
    seconds: float,
    judge: Judge = answered,
    pid: int | None = None,
) -> Side:
    """A server on the loopback that so many callers ask for so many seconds a turn.

    `pid` is its process, whose CPU is shown where it is given. A turn without one right answer
    raises `ConfigurationError`, which says what was answered instead.
    """

    def turn() -> Figures:
        return turn_of(
            name,
            lambda: uvloop.run(
                closed_loop(HOST, port, make, callers=callers, seconds=seconds, judge=judge)
            ),
            pid,
        )

    return Side(name, turn)


def open_side(
    name: str,
    port: int,
    make: Make,
    moments: Callable[[], list[float]],
    *,
    judge: Judge = answered,
    pid: int | None = None,
) -> Side:
    """A server on the loopback that is asked at the moments which `moments()` plans each turn."""

    def turn() -> Figures:
        def loop() -> Calls:
            return uvloop.run(open_loop(HOST, port, make, moments(), judge=judge))

        return turn_of(name, loop, pid)

    return Side(name, turn)


def turn_of(name: str, loop: Callable[[], Calls], pid: int | None = None) -> Figures:
    """Run a loop and sum it up, with its own CPU, and that of a process that is given.

    Raises `ConfigurationError` as `figures_of` does, and where nobody listens any more.
    """
    before, generator = cpu_s(pid) if pid is not None else 0.0, time.process_time()
    try:
        calls = loop()
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be reached: {error.strerror}") from error
    figures = dict(figures_of(name, calls))
    figures[GENERATOR] = (time.process_time() - generator) / calls.seconds
    if pid is not None:
        used = cpu_s(pid) - before
        figures[CPU_MS] = 1000 * used / (len(calls.calls) - calls.not_ok)
        figures[CORE] = used / calls.seconds
    return figures


def figures_of(name: str, calls: Calls) -> Figures:
    """What a loop showed. Raises `ConfigurationError` where not one answer was right."""
    if calls.not_ok == len(calls.calls):
        said = ", ".join(f"{count} × {what}" for what, count in calls.said().most_common(3))
        raise ConfigurationError(f"{name} gave no right answer: {said or 'none was asked'}")
    return {
        PER_S: calls.per_s,
        "p50 ms": calls.percentile_ms(0.50),
        "p95 ms": calls.percentile_ms(0.95),
        "p99 ms": calls.percentile_ms(0.99),
        NOT_OK: float(calls.not_ok),
    }
