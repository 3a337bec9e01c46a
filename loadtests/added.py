"""The time that a gateway adds to its engine and its index, at half of what it can do.

    python -m loadtests.added

First the peak: `--callers` ask as fast as they are answered. Then requests arrive at half of it, as
a Poisson process that waits for no answer; each one's time counts from the moment it was due.
Every request is answered anew (as in `loadtests.inline`), by an engine that writes at once and the
stub index. In each round both stubs are asked directly, too, at the same moments and for the same
things, and the medians of their times are taken out of the gateway's percentiles. So a stub that is
slow now and then counts against the gateway, not for it.
"""

from __future__ import annotations

import argparse

import uvloop

from loadtests.local_gateway import HOST, LocalGateway
from loadtests.rig import scene, script
from loadtests.rig.arrivals import poisson
from loadtests.rig.gateways import checkouts
from loadtests.rig.loops import open_loop
from loadtests.rig.machine import describe
from loadtests.rig.parts import parts
from loadtests.rig.plots import of_shares
from loadtests.rig.progress import steps
from loadtests.rig.results import Result, finish
from loadtests.rig.rounds import Figures, Measured
from loadtests.rig.scene import FRESH, Scene, in_turn
from loadtests.rig.sides import NOT_OK, PER_S, figures_of
from loadtests.rig.stub_times import direct
from loadtests.rig.tables import rounds_said

_SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_SIDE = "gateway"


def main() -> None:
    """Read the flags, measure, show and write."""
    cli = script.flags(__doc__, seconds=10.0)
    scene.add_flags(cli, step_ms=0.0)
    cli.add_argument("--share", type=float, default=0.5, help="of the peak, that arrives")
    chosen = script.read(cli)
    if not 0 < chosen.share < 1 or chosen.index != "stub":
        cli.error("--share lies between 0 and 1, and --index is stub: its time is taken out")
    machine = describe()
    with parts() as here:
        there = scene.build(chosen, here)
        _, gateway = next(there.gateways(checkouts(None)))
        rounds, waited_ms = _measure(chosen, there, gateway)
        cores = here.cores.said
    measured = Measured({_SIDE: rounds})
    rows = [
        [name, *(measured.spread(_SIDE, f"{name} {what} ms").said() for what in ("of", "added"))]
        for name in _SHARES
    ]
    arrived = measured.spread(_SIDE, PER_S).said(1)
    stubs = [measured.spread(_SIDE, f"{stub} ms").said() for stub in ("engine", "index")]
    said = [
        f"Arrivals: {chosen.share:.0%} of the peak of {rounds[0]['peak/s']:.1f} answers/s; "
        f"{arrived} answers/s came, {sum(turn[NOT_OK] for turn in rounds):.0f} were not right.",
        f"Taken out: engine {stubs[0]} ms, index {stubs[1]} ms, the medians asked directly.",
        f"The load generator itself sent 99 of 100 requests within "
        f"{measured.spread(_SIDE, 'generator p99 ms').said()} ms of their moment.",
        f"{rounds_said(chosen.rounds, chosen.seconds)}; {cores}.",
    ]
    result = Result(
        name="added",
        title=f"Time added at {chosen.share:.0%} of the peak",
        heads=["", "answered in, ms", "added by the gateway, ms"],
        rows=rows,
        data={"asked": script.asked(chosen), "turns": measured.turns},
        said=said,
        draw=of_shares({"gateway with its stubs": waited_ms}),
    )
    finish(result, machine, chosen.results)


def _measure(
    chosen: argparse.Namespace, there: Scene, gateway: LocalGateway
) -> tuple[list[Figures], list[float]]:
    """The rounds' figures, and all times of the gateway, ms."""
    pid = gateway.process.pid
    stubs = direct(there, gateway)
    make = in_turn(there.requests)
    rounds: list[Figures] = []
    waited_ms: list[float] = []
    with steps(2 + 3 * chosen.rounds) as step:
        full = there.closed(_SIDE, gateway.port, pid, chosen)
        for what in ("warming up", "the peak"):
            step(what)
            peak = full.turn()[PER_S]
        for number in range(chosen.rounds):
            step(f"round {number + 1} of {chosen.rounds}")
            moments = poisson(chosen.share * peak, chosen.seconds, seed=number)
            calls = uvloop.run(open_loop(HOST, gateway.port, make, moments, judge=FRESH))
            figures = dict(figures_of(_SIDE, calls))
            step("engine and index directly")
            engine_ms, index_ms = stubs.median_ms(moments)
            figures |= {"engine ms": engine_ms, "index ms": index_ms, "peak/s": peak}
            figures["generator p99 ms"] = calls.generator_late_ms()
            for name, share in _SHARES.items():
                figures[f"{name} of ms"] = calls.percentile_ms(share)
                figures[f"{name} added ms"] = calls.percentile_ms(share) - engine_ms - index_ms
            rounds.append(figures)
            waited_ms += [1000 * one for one in calls.waited_s()]
    return rounds, waited_ms


if __name__ == "__main__":
    script.run(main)
