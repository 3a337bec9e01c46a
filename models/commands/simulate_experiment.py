"""`interests experiments simulate`: readers who use a running service for several short days."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated

import httpx
import typer
from rich.console import Console

from models.demo.users import Acts
from models.online.days import Plan, arrivals, introduce, play
from models.online.readers import Habits, readers
from models.online.visits import Played, Visitor
from models.progress import Stage, bars, stages_of

_OVERLAP_S = 120
"""Longest that one call may take: the service has its own deadline, far below."""
_LATE_SHARE = 0.2
"""Of a day: visits that begin later than this are no longer of the day they belong to."""


def simulate(
    url: Annotated[str, typer.Option(help="The gateway's base URL.")] = "http://127.0.0.1:8080",
    key: Annotated[
        str | None, typer.Option(envvar="INTERESTS_API_KEY", help="Key for the X-API-Key header.")
    ] = None,
    count: Annotated[int, typer.Option("--readers", min=1, max=99_999, help="Readers.")] = 300,
    days: Annotated[int, typer.Option(min=1, max=900, help="Days.")] = 5,
    first_day: Annotated[
        int, typer.Option(min=1, help="Number of the first: days of other numbers differ.")
    ] = 1,
    day: Annotated[float, typer.Option(min=0.1, help="Seconds that a day lasts.")] = 60.0,
    visits: Annotated[
        float, typer.Option(min=0.01, max=20, help="Visits of a reader a day.")
    ] = 1.5,
    at_once: Annotated[int, typer.Option(min=1, max=256, help="Visits under way at once.")] = 16,
    timeout_ms: Annotated[
        int | None, typer.Option(min=20, max=30_000, help="Deadline; the student's when absent.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of readers and of everything drawn.")] = 7,
) -> None:
    """Let invented readers of the demo's newspaper ask, click and come back, over the real API.

    They follow stories of the newspaper and click by these, whichever arm serves them: what an
    answer says of experiments they do not look at. The gateway must serve the demo's articles.
    """
    plan = Plan(days, day, visits, first_day, at_once)
    headers = {"X-API-Key": key} if key else {}
    with bars(Console(stderr=True)) as shown:
        played, latest = asyncio.run(
            _simulate(url, headers, count, plan, timeout_ms, seed, stages_of(shown))
        )
    for line in _told(played):
        typer.echo(line)
    if latest > _LATE_SHARE * plan.day_s:
        typer.echo(
            f"warning: a visit began {latest:.0f} s late: the days overlap; give fewer --readers, "
            "fewer --visits or a longer --day",
            err=True,
        )


async def _simulate(
    url: str,
    headers: dict[str, str],
    count: int,
    plan: Plan,
    timeout_ms: int | None,
    seed: int,
    stage: Stage,
) -> tuple[Played, float]:
    crowd = readers(count, seed)
    numbers = range(plan.first_day, plan.first_day + plan.days)
    expected = sum(len(arrivals(plan, count, day, seed)) for day in numbers)
    limits = httpx.Limits(max_connections=plan.at_once)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=_OVERLAP_S, limits=limits
    ) as client:
        visitor = Visitor(client, Acts(seed), Habits(), seed=seed, timeout_ms=timeout_ms)
        try:
            await introduce(visitor, crowd, plan.at_once, stage("readers", count))
            latest = await play(visitor, crowd, plan, seed, stage("visits", expected))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        return visitor.played, latest


def _told(played: Played) -> list[str]:
    """What happened, a line each."""
    lines = [
        f"{played.visits:,} visits, {played.refused:,} of them refused; "
        f"{played.impressions:,} impressions, {played.clicks:,} clicks",
        "queries: " + _counts(played.by_source.most_common()),
    ]
    for key in sorted({key for key, _ in played.by_arm}):
        arms = [(arm, count) for (of, arm), count in sorted(played.by_arm.items()) if of == key]
        lines.append(f"{key}: {_counts(arms)}")
    return lines


def _counts(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in pairs)
