"""Requests that bring their signals: answers a second of a gateway on one core, nothing reused.

    python -m loadtests.inline                        # 1 ms a token, a stub for an index
    python -m loadtests.inline --step-ms 0            # lists at once: the gateway's own peak
    python -m loadtests.inline --index embedded       # every search in the gateway's process
    python -m loadtests.inline --against ../before    # another checkout in the same rounds

Each request is of another user, with 20 signals in words of its own, so the gateway renders a
prompt, reads a streamed list, searches what it has not searched before, and merges. The engine is
the simulator (`loadtests.engine_simulator`), the index answers 50 ready hits a query
(`loadtests.stub_index`): their speed is known, so that what is measured is the gateway.
`of its core` near 1 says that the gateway's core was full; well below it, the stubs or another
process were what held answers up, and the figure is none of the gateway's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from loadtests.rig import scene, script
from loadtests.rig.gateways import checkouts, said_of
from loadtests.rig.machine import describe
from loadtests.rig.parts import parts
from loadtests.rig.plots import of_rounds
from loadtests.rig.results import Result, finish
from loadtests.rig.rounds import Side, in_turns
from loadtests.rig.scene import Scene
from loadtests.rig.sides import CPU_MS, PER_S
from loadtests.rig.tables import compared, cpu_said, rounds_said

Beside = Callable[[Scene], list[Side]]
"""Further sides, made when engine and index run: references that are asked in the same rounds."""


def flags(doc: str | None) -> argparse.ArgumentParser:
    """The flags of this scenario, and of those that add sides to it."""
    cli = script.flags(doc)
    scene.add_flags(cli)
    cli.add_argument("--against", type=Path, help="another checkout, in the same rounds")
    return cli


def run(
    chosen: argparse.Namespace, name: str = "inline", beside: Beside = lambda there: []
) -> None:
    """Measure this checkout's gateway, the other one's where it is given, and the sides beside.

    Ratios are to the other checkout, else to the first side beside; with none of them there are
    none.
    """
    machine = describe()
    sides = checkouts(chosen.against)
    with parts() as here:
        there = scene.build(chosen, here)
        measured_sides = [
            there.closed(side.name, gateway.port, gateway.process.pid, chosen)
            for side, gateway in there.gateways(sides)
        ]
        measured_sides += beside(there)
        measured = in_turns(measured_sides, chosen.rounds)
        cores = here.cores.said
    reference = measured.sides[1] if len(measured.sides) > 1 else None
    heads, rows = compared(measured, reference, PER_S)
    said = [
        *(cpu_said(measured, reference, CPU_MS) if reference is not None else ()),
        f"{rounds_said(chosen.rounds, chosen.seconds)}, {chosen.callers} callers; "
        f"{chosen.signals} signals, lists of {chosen.tokens} tokens at {chosen.step_ms:g} ms each, "
        f"index: {chosen.index}; {cores}.",
        *said_of(sides),
    ]
    title = "Inline signals, nothing reused"
    data = {"asked": script.asked(chosen), "turns": measured.turns}
    result = Result(name, title, heads, rows, data, said, of_rounds(measured, PER_S))
    finish(result, machine, chosen.results)


def main() -> None:
    """Read the flags and measure."""
    run(script.read(flags(__doc__)))


if __name__ == "__main__":
    script.run(main)
