"""How costs grow along one axis after the other, with the exponents of fitted powers.

    python -m loadtests.growth                        # every axis: some ten minutes on two cores
    python -m loadtests.growth --only queries samples
    python -m loadtests.growth --quick                # everything small: under two minutes
    python -m loadtests.growth --million-users        # 10^6 users in Redis, 5 GB

Axes: gateways (1 to 4), users in Redis (10^3 to 10^5), articles in the embedded index (10^4 to
10^6), signals a user (5 to 500), queries (1 to 32), samples (1 to 16), candidates (1 to 500), and
returning users, who come in turn (10 to 10^3). What is held constant along an axis is said on its
page. A gateway is one process; two cores show no more than two of them. `NAME.json`, `NAME.md` and
`NAME.svg` are written for each axis as `growth-AXIS`; `growth.json` has the exponents of all and,
after a run of every axis, the costs that `python -m loadtests.capacity --costs …/growth.json` plans
with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from rich.console import Console

from loadtests.costs import costs_of
from loadtests.growth import gateway_axes, several, stores
from loadtests.growth.axes import Grown
from loadtests.growth.run import Run
from loadtests.rig import script
from loadtests.rig.cores import take_cores
from loadtests.rig.machine import describe
from loadtests.rig.results import Result, finish

AXES: dict[str, Callable[[Run], Grown]] = {
    "gateways": several.gateways,
    "users": stores.users,
    "articles": stores.articles,
    "signals": gateway_axes.signals,
    "queries": gateway_axes.queries,
    "samples": gateway_axes.samples,
    "candidates": gateway_axes.candidates,
    "returning": gateway_axes.returning,
}


def main() -> None:
    """Read the flags, measure every axis, show and write."""
    cli = script.flags(__doc__, rounds=3, seconds=2.0)
    cli.add_argument("--only", nargs="+", choices=list(AXES), default=list(AXES), metavar="AXIS")
    cli.add_argument("--quick", action="store_true", help="small sizes and short turns")
    cli.add_argument("--million-users", action="store_true", help="10^6 users, too: 5 GB of Redis")
    chosen = script.read(cli)
    machine = describe()
    run = Run(
        student=chosen.student,
        cores=take_cores(),
        rounds=chosen.rounds,
        seconds=min(chosen.seconds, 0.5) if chosen.quick else chosen.seconds,
        quick=chosen.quick,
        million_users=chosen.million_users,
    )
    found: dict[str, Grown] = {}
    for number, axis in enumerate(chosen.only, 1):
        Console(stderr=True).print(f"{number} of {len(chosen.only)}: {axis}", highlight=False)
        found[axis] = AXES[axis](run)
        finish(found[axis].result(run.rounds), machine, chosen.results)
    finish(_summary(found, run), machine, chosen.results)


def _summary(found: dict[str, Grown], run: Run) -> Result:
    rows = [
        [axis, f"{min(points):,.0f} to {max(points):,.0f}", name, fitted.said()]
        for axis, grown in found.items()
        for name, points in grown.figures.items()
        if (fitted := grown.power(name)) is not None
    ]
    figures = {axis: grown.figures for axis, grown in found.items()}
    data: dict[str, object] = {axis: grown.data() for axis, grown in found.items()}
    said = [f"{run.rounds} rounds of {run.seconds:g} s a size; {run.cores.said}."]
    if run.quick:
        said.append("Sizes are too small for costs to plan with.")
        data = {"axes": data}
    elif (costs := costs_of(figures)) is not None:
        said.append(costs.said())
        data = {"costs": asdict(costs), "axes": data}
    else:
        data = {"axes": data}
        said.append("Not all axes were measured, so there are no costs to plan with.")
    title = "Growth, all axes" if not run.quick else "Growth, small sizes to try it out"
    return Result("growth", title, ["axis", "sizes", "figure", "exponent"], rows, data, said)


if __name__ == "__main__":
    script.run(main)
