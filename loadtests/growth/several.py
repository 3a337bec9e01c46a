"""The axis of gateways: several processes over one Redis, one engine and one index.

A gateway is one process with one event loop and listens on a port of its own; a load balancer
spreads callers over gateways, and here each has `CALLERS` of its own. All of them may use all
cores, which the load generator, Redis and the stubs use, too. So a machine with two cores can show
at best what two gateways do, and less than that: what is to be seen there is whether the CPU of an
answer stays the same when there are more of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import uvloop

from loadtests.growth.axes import Grown, points_of
from loadtests.growth.gateway_axes import CALLERS, LIMIT, SIGNALS, stored, study
from loadtests.growth.run import Run
from loadtests.local_gateway import LocalGateway
from loadtests.rig.balanced import closed_loops
from loadtests.rig.cores import cpu_s
from loadtests.rig.gateways import keep_lists, made_by
from loadtests.rig.loops import Make
from loadtests.rig.machine import ROOT
from loadtests.rig.parts import parts, wait_until_up
from loadtests.rig.rounds import Figures, Side, in_turns
from loadtests.rig.scene import in_turn
from loadtests.rig.sides import CPU_MS, NOT_OK, PER_S, figures_of
from loadtests.rig.users import dealt

_REUSED = made_by("reused")


def gateways(run: Run) -> Grown:
    """Gateways that answer at once, from kept lists."""
    sizes = run.sizes((1, 2, 3, 4), (1, 2))
    users = dealt(range(10 if run.quick else 40), SIGNALS)
    kept = {"CACHE_TTL_S": "3600", "REUSE_MAX_AGE_S": "3600"}
    with parts(run.cores) as here:
        loaded = dataclasses.replace(study(run, here, users=1).loaded, users=users, more=kept)
        asked = [stored(user) for user in users]
        cores = run.cores.measured | run.cores.engine | run.cores.others
        running: list[LocalGateway] = []
        for _ in range(max(sizes)):
            folder = here.side_folder()
            settings = loaded.settings(folder, 0)
            if not running:
                here.load_signals(ROOT, settings, users)
            gateway = here.gateway(ROOT, folder, settings, cores)
            wait_until_up(gateway, "redis", "index", "student")
            keep_lists(gateway, asked, LIMIT)
            running.append(gateway)
        sides = {
            f"{number} gateways": _side(run, f"{number} gateways", running[:number], in_turn(asked))
            for number in sizes
        }
        found = in_turns(list(sides.values()), run.rounds)
    named = {f"{number} gateways": float(number) for number in sizes}
    constant = (
        f"{CALLERS} callers a gateway; {SIGNALS} signals in the one Redis, kept lists, results "
        f"kept in each gateway, {LIMIT} candidates. All processes share {len(cores)} cores, so "
        f"more than {len(cores)} gateways cannot answer more."
    )
    figures = points_of(found, named, (PER_S, CPU_MS, "p50 ms", NOT_OK))
    return Grown("gateways", "gateways", constant, figures)


def _side(run: Run, name: str, asked: Sequence[LocalGateway], make: Make) -> Side:
    pids = [one.process.pid for one in asked]

    ports = [one.port for one in asked]

    def turn() -> Figures:
        before = sum(map(cpu_s, pids))
        calls = uvloop.run(
            closed_loops(
                ports,
                make,
                callers=CALLERS * len(ports),
                seconds=run.seconds,
                judge=_REUSED,
            )
        )
        used = sum(map(cpu_s, pids)) - before
        right = len(calls.calls) - calls.not_ok
        return {**figures_of(name, calls), CPU_MS: 1000 * used / max(1, right)}

    return Side(name, turn)
