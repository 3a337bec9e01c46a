"""Users a second through the whole gateway, beside the same prompts sent to the engine directly.

    python -m loadtests.through
    python -m loadtests.through --stored          # signals in Redis instead of in the requests

The engine simulator has the speed of one H100. By NVIDIA's figures for Llama-3.1-8B-Instruct
(NIM 1.8.0, https://docs.nvidia.com/nim/benchmarking/llm/1.0.0/performance) a token takes 5.91 ms
with 50 requests at once, 8,018 tokens a second in all: here a step takes 6 ms (`--step-ms`) and
decodes 50 lists (`--batch`), which are 32 tokens long (`--tokens`), so 260 users a second. A prompt
costs nothing here, and a student is smaller than that model: a real engine of one would differ in
both directions. What counts is how much of the engine's own rate is left behind the gateway.

Saturated, twice as many callers as fit into the batch (`--callers`) ask as fast as they are
answered; the ratio of users a second is printed. Unsaturated, users arrive at a tenth of the
engine's rate (`--share`) and wait for nobody; the times they wait are compared. Both sides are
measured in turns. Direct means the calls that the gateway makes, streamed and read to the end,
nothing parsed and nothing searched.
The engine has a core of its own where there are three; with two it shares that of the load
generator. `of its core` says whether the gateway's core was the limit: then the ratio says how many
gateways such an engine needs.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from dataclasses import dataclass

from loadtests.local_gateway import LocalGateway
from loadtests.rig import scene, script
from loadtests.rig.arrivals import poisson
from loadtests.rig.gateways import checkouts
from loadtests.rig.loops import Judge, Make, answered
from loadtests.rig.machine import describe
from loadtests.rig.parts import Parts, parts
from loadtests.rig.plots import of_rounds
from loadtests.rig.prompts import completions
from loadtests.rig.results import Result, finish
from loadtests.rig.rounds import Measured, Side, in_turns
from loadtests.rig.scene import FRESH, Scene, in_turn
from loadtests.rig.sides import PER_S, closed_side, open_side
from loadtests.rig.tables import compared, rounds_said

_DIRECT, _GATEWAY = "direct", "gateway"
_P50 = "p50 ms"
_USERS = 2_000
_CALLERS = 100


def main() -> None:
    """Read the flags, measure, show and write."""
    cli = script.flags(__doc__)
    scene.add_flags(cli, step_ms=6.0)
    cli.add_argument("--batch", type=int, default=50, help="lists that the engine writes at once")
    cli.add_argument("--share", type=float, default=0.1, help="of the engine's rate, unsaturated")
    cli.add_argument("--stored", action="store_true", help="signals are in Redis")
    cli.set_defaults(callers=_CALLERS)
    chosen = script.read(cli)
    if not 0 < chosen.share < 1 or chosen.step_ms <= 0:
        cli.error("--share lies between 0 and 1, and --step-ms is more than 0")
    rate = chosen.batch / (chosen.tokens * chosen.step_ms / 1000)
    machine = describe()
    with parts() as here:
        there = _build(chosen, here)
        _, gateway = next(there.gateways(checkouts(None)))
        asked = _asked(chosen, there, gateway)
        saturated = in_turns([one.saturated(chosen) for one in asked], chosen.rounds)
        sparse = in_turns([one.sparse(chosen, rate) for one in asked], chosen.rounds)
        cores = here.cores.said
    heads, full_rows = compared(saturated, _DIRECT, PER_S)
    _, sparse_rows = compared(sparse, _DIRECT, PER_S)
    ratio = saturated.ratio(_GATEWAY, _DIRECT, PER_S)
    added = _added_ms(sparse)
    result = Result(
        name="through",
        title=f"Through the gateway, engine of {rate:.0f} users/s",
        heads=["load", *heads],
        rows=[
            *(["saturated", *row] for row in full_rows),
            *([f"{chosen.share:.0%}", *row] for row in sparse_rows),
        ],
        data={
            "asked": script.asked(chosen),
            "engine_users/s": rate,
            "saturated": saturated.turns,
            "unsaturated": sparse.turns,
            "ratio": ratio.median,
            "added_p50_ms": added,
        },
        said=[
            f"Saturated, {chosen.callers} callers: {ratio.said(3)} of direct's users a second.",
            f"At {chosen.share:.0%} of the engine's rate: p50 {added:+.1f} ms beside direct.",
            f"{rounds_said(chosen.rounds, chosen.seconds)}; {cores}.",
        ],
        draw=of_rounds(saturated, PER_S),
    )
    finish(result, machine, chosen.results)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One of the two, and what is asked of it."""

    name: str
    port: int
    pid: int | None
    make: Make
    judge: Judge

    def saturated(self, chosen: argparse.Namespace) -> Side:
        """More callers than fit into the batch."""
        return closed_side(
            self.name,
            self.port,
            self.make,
            callers=chosen.callers,
            seconds=chosen.seconds,
            judge=self.judge,
            pid=self.pid,
        )

    def sparse(self, chosen: argparse.Namespace, rate: float) -> Side:
        """Users who arrive at a share of the engine's rate, at the same moments on both sides."""
        seeds = itertools.count()
        return open_side(
            self.name,
            self.port,
            self.make,
            lambda: poisson(chosen.share * rate, chosen.seconds, next(seeds)),
            judge=self.judge,
            pid=self.pid,
        )


def _build(chosen: argparse.Namespace, here: Parts) -> Scene:
    at_once = str(chosen.callers)
    more = {"STUDENTS__MAIN__WINDOW": at_once, "MAX_IN_FLIGHT": str(max(256, chosen.callers))}
    batch = ("--max-seqs", str(chosen.batch))
    stored = _USERS if chosen.stored else 0
    return scene.build(chosen, here, *batch, users=_USERS, stored=stored, more=more)


def _asked(chosen: argparse.Namespace, there: Scene, gateway: LocalGateway) -> list[_Asked]:
    prompts = completions(chosen.student, [signals for _, signals in there.users])
    return [
        _Asked(_DIRECT, there.engine.port, None, in_turn(prompts), answered),
        _Asked(_GATEWAY, gateway.port, gateway.process.pid, in_turn(there.requests), FRESH),
    ]


def _added_ms(sparse: Measured) -> float:
    """The median of the rounds' differences in p50."""
    pairs = zip(sparse.values(_GATEWAY, _P50), sparse.values(_DIRECT, _P50), strict=True)
    return statistics.median(ours - theirs for ours, theirs in pairs)


if __name__ == "__main__":
    script.run(main)
