"""What a gateway holds after many requests: memory, open files and threads at 80 % of its peak.

    python -m loadtests.soak                    # ten minutes
    python -m loadtests.soak --seconds 7200

First the peak: `--callers` ask as fast as they are answered. Then requests arrive at 80 % of it, as
a Poisson process that waits for no answer. Half of the users bring their signals with them and are
answered anew; half have them in Redis, and their lists are kept and reused. Engine and index are
stubs. The first tenth (`--settle`), in which caches fill, is left out of the slope.

The slope is that of a straight line through the memory over time, with its 95 % interval. One that
holds 0 says that no growth was found: of a short run, that the run was short.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import uvloop

from loadtests.local_gateway import HOST, LocalGateway
from loadtests.raw_client import Reply
from loadtests.rig import scene, script
from loadtests.rig.arrivals import poisson
from loadtests.rig.figures import Slope, slope
from loadtests.rig.gateways import checkouts
from loadtests.rig.loops import OK, Calls, answered, open_loop
from loadtests.rig.machine import describe
from loadtests.rig.parts import parts
from loadtests.rig.plots import Draw
from loadtests.rig.progress import steps
from loadtests.rig.resources import Held, watch
from loadtests.rig.results import Result, finish
from loadtests.rig.scene import Scene, in_turn
from loadtests.rig.sides import NOT_OK, PER_S, figures_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE = "gateway"
_PEAK_S = 5.0
_LOOKS = 300
"""At the most one a second."""
_SHOWN_S = 5.0
_HOUR_S = 3_600.0


def main() -> None:
    """Read the flags, measure, show and write."""
    cli = script.flags(__doc__, rounds=None, seconds=600.0)
    scene.add_flags(cli)
    cli.add_argument("--share", type=float, default=0.8, help="of the peak, that arrives")
    cli.add_argument("--settle", type=float, help="seconds left out of the slope; a tenth")
    chosen = script.read(cli)
    settle = chosen.seconds / 10 if chosen.settle is None else chosen.settle
    if not 0 < chosen.share < 1 or not 0 <= settle < chosen.seconds:
        cli.error("--share lies between 0 and 1, and --settle is less than --seconds")
    machine = describe()
    with parts() as here:
        stored = 1_000
        more = {"REUSE_MAX_AGE_S": "3600"}
        there = scene.build(chosen, here, users=2 * stored, stored=stored, more=more)
        _, gateway = next(there.gateways(checkouts(None)))
        peak, calls, looks = _measure(chosen, there, gateway)
        cores = here.cores.said
    late = [look for look in looks if look.at_s >= settle]
    grown = slope([look.at_s for look in late], [look.rss_mb for look in late])
    figures = figures_of(_SIDE, calls)
    result = Result(
        name="soak",
        title=f"{chosen.seconds:g} s at {chosen.share:.0%} of the peak",
        heads=["", "at the start", f"after {settle:g} s", "at the end", "most"],
        rows=[
            _row("memory, MB", [look.rss_mb for look in looks], len(looks) - len(late)),
            _row("open files", [look.files for look in looks], len(looks) - len(late)),
            _row("threads", [look.threads for look in looks], len(looks) - len(late)),
        ],
        data={
            "peak/s": peak,
            "calls": figures,
            "slope_mb_per_hour": {name: value * _HOUR_S for name, value in asdict(grown).items()},
            "looks": [asdict(look) for look in looks],
        },
        said=[
            f"Memory: {_per_hour(grown)} MB an hour, after the first {settle:g} s.",
            f"Peak {peak:.1f} answers/s; {len(calls.calls):,} requests, {figures[PER_S]:.1f} right "
            f"answers/s, {figures[NOT_OK]:.0f} not right; p50 {figures['p50 ms']:.1f} ms, "
            f"p99 {figures['p99 ms']:.1f} ms.",
            f"{cores}.",
        ],
        draw=_drawn(looks, late, grown),
    )
    finish(result, machine, chosen.results)


def _measure(
    chosen: argparse.Namespace, there: Scene, gateway: LocalGateway
) -> tuple[float, Calls, list[Held]]:
    """The peak, the requests at a share of it, and what the process held meanwhile."""
    pid, shown = gateway.process.pid, 0.0
    every_s = min(1.0, chosen.seconds / _LOOKS)
    make = in_turn(there.requests)
    whole = argparse.Namespace(**{**vars(chosen), "seconds": min(_PEAK_S, chosen.seconds)})
    with steps(2 + int(chosen.seconds / _SHOWN_S)) as step:
        full = there.closed(_SIDE, gateway.port, pid, whole, _whole)
        for what in ("warming up", "the peak"):
            step(what)
            peak = full.turn()[PER_S]
        moments = poisson(chosen.share * peak, chosen.seconds, seed=1)

        def seen(look: Held) -> None:
            nonlocal shown
            if look.at_s >= shown:
                shown += _SHOWN_S
                step(f"{look.rss_mb:.0f} MB, {look.files} files")

        async def both() -> tuple[Calls, list[Held]]:
            asking = open_loop(HOST, gateway.port, make, moments, judge=_whole)
            return await asyncio.gather(asking, watch(pid, chosen.seconds, every_s, seen))

        calls, looks = uvloop.run(both())
    return peak, calls, looks


def _whole(reply: Reply) -> str:
    """A judge: any answer that nothing went wrong with."""
    if reply.status != 200:
        return answered(reply)
    return OK if b'"degraded":[]' in reply.body else "degraded"


def _row(name: str, values: Sequence[float], settled: int) -> list[str]:
    cells = (values[0], values[min(settled, len(values) - 1)], values[-1], max(values))
    return [name, *(f"{cell:,.0f}" for cell in cells)]


def _per_hour(grown: Slope) -> str:
    per_hour = [value * _HOUR_S for value in (grown.per_s, grown.low, grown.high)]
    return "{:+.1f} ({:+.1f} to {:+.1f})".format(*per_hour)


def _drawn(looks: Sequence[Held], late: Sequence[Held], grown: Slope) -> Draw:
    def draw(axes: Axes) -> None:
        axes.plot([look.at_s for look in looks], [look.rss_mb for look in looks], label="memory")
        times = [look.at_s for look in late]
        middle = sum(times) / len(times)
        mean = sum(look.rss_mb for look in late) / len(late)
        line = [mean + grown.per_s * (time - middle) for time in times]
        axes.plot(times, line, "--", label=f"{_per_hour(grown)} MB an hour")
        axes.set(xlabel="s", ylabel="MB")
        axes.set_ylim(0, 1.2 * max(look.rss_mb for look in looks))
        axes.legend(frameon=False)

    return draw


if __name__ == "__main__":
    script.run(main)
