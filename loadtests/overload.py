"""More than a gateway on one core can answer: what is answered in time, refused, and how quickly.

    python -m loadtests.overload
    python -m loadtests.overload --against ../before    # another checkout, one after the other

First the peak is looked for: requests are offered at rising rates, each for so many `--seconds`, in
an open loop, and the rate with the most answers in time (the goodput) is the peak. Then, after a
calm that ends what the search for the peak has left behind, 0.5, 1, 2 and 3 times the peak are
offered, and 0.5 times again, without a pause between them. In time means
within `--timeout-ms` of the moment at which the request was due.

Users come again: their lists are kept, their queries' results mostly too, so that all work is the
gateway's own. The load generator, Redis and the engine simulator have another core; how late the
generator itself was is shown, and no figure is better than that.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import uvloop

from loadtests.local_gateway import HOST, LocalGateway
from loadtests.raw_client import Reply
from loadtests.rig import script
from loadtests.rig.arrivals import poisson
from loadtests.rig.articles import write_articles
from loadtests.rig.cores import cpu_s
from loadtests.rig.figures import percentile
from loadtests.rig.gateways import Checkout, Loaded, checkouts, said_of
from loadtests.rig.loops import OK, Call, Request, answered, closed_loop, open_loop
from loadtests.rig.machine import describe
from loadtests.rig.parts import Parts, parts, wait_until_up
from loadtests.rig.results import Result, finish
from loadtests.rig.users import dealt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHARES = (0.5, 1.0, 2.0, 3.0, 0.5)
"""Of the peak, one after the other."""
_CALM = 0.25
"""Of the peak, before the first of them, for as long; it is not shown."""
_RAMP = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
"""Of what a closed loop gets through, at which the peak is looked for."""
_RAMPS = 4
"""Times that higher rates are tried at the most, while the highest has the most answers."""
_REFUSED = "refused"
_SIGNALS = 20
_TOKENS = 32
_CLOSED_CALLERS = 8


@dataclass(frozen=True, slots=True)
class Phase:
    """What one rate showed."""

    share: float
    """Of the peak; of the closed loop's answers a second while the peak is looked for."""
    rate: float
    goodput: float
    """Answers in time, a second."""
    late: int
    refused: int
    failed: int
    """Neither answered nor refused."""
    accepted_ms: tuple[float, float]
    """p50 and p99 of what was answered."""
    refused_ms: tuple[float, float]
    generator_ms: float
    """p99 of how late requests were sent."""
    settled_s: float
    """From the phase's start to the last request that was not answered in time."""


@dataclass(frozen=True, slots=True)
class Round:
    """The phases of one gateway, and its CPU."""

    peak: Phase
    phases: Sequence[Phase]
    core: float
    """Share of its core that the gateway had in calm and phases: less than usual where other
    processes took it."""


def judge(reply: Reply) -> str:
    """Answered, refused, or what else."""
    return _REFUSED if reply.status == 429 else answered(reply)


def phase_of(
    calls: Sequence[Call],
    share: float,
    rate: float,
    starts: float,
    seconds: float,
    in_time_s: float,
) -> Phase:
    """What became of the requests that were due within a phase. Pure."""
    waited = [call.waited_s for call in calls if call.said == OK]
    refused = [call.waited_s for call in calls if call.said == _REFUSED]
    missed = [call.due for call in calls if call.said != OK or call.waited_s > in_time_s]
    in_time = sum(each <= in_time_s for each in waited)
    return Phase(
        share=share,
        rate=rate,
        goodput=in_time / seconds,
        late=len(waited) - in_time,
        refused=len(refused),
        failed=len(calls) - len(waited) - len(refused),
        accepted_ms=(1000 * percentile(waited, 0.5), 1000 * percentile(waited, 0.99)),
        refused_ms=(1000 * percentile(refused, 0.5), 1000 * percentile(refused, 0.99)),
        generator_ms=1000 * percentile([call.sent - call.due for call in calls], 0.99),
        settled_s=max(missed, default=starts) - starts,
    )


def offered(
    port: int, requests: Sequence[Request], rates: Sequence[float], seconds: float, seed: int
) -> tuple[list[Call], float]:
    """All calls, where each rate is offered for so many seconds, and when the first phase began."""
    moments = [
        number * seconds + moment
        for number, rate in enumerate(rates)
        for moment in poisson(rate, seconds, seed + number)
    ]
    calls = uvloop.run(
        open_loop(
            HOST,
            port,
            lambda number: requests[number % len(requests)],
            moments,
            judge=judge,
            patience_s=20,
        )
    ).calls
    first = min(calls, key=lambda call: call.due)
    return calls, first.due - moments[0]


def phases_of(
    calls: Sequence[Call],
    began: float,
    shares: Sequence[float],
    whole: float,
    seconds: float,
    in_time_s: float,
) -> list[Phase]:
    """The calls of `offered`, phase by phase; `whole` is the rate that a share of 1 is."""
    found = []
    for number, share in enumerate(shares):
        starts = began + number * seconds
        due = [call for call in calls if starts <= call.due < starts + seconds]
        found.append(phase_of(due, share, share * whole, starts, seconds, in_time_s))
    return found


def measured(
    gateway: LocalGateway, requests: Sequence[Request], seconds: float, in_time_s: float, seed: int
) -> Round:
    """Find the peak, then offer the shares of it."""
    closed = uvloop.run(
        closed_loop(
            HOST,
            gateway.port,
            lambda number: requests[number % len(requests)],
            callers=_CLOSED_CALLERS,
            seconds=seconds,
            judge=judge,
            obeys_retry_after=False,
        )
    ).per_s
    for _ in range(_RAMPS):
        rates = [share * closed for share in _RAMP]
        calls, began = offered(gateway.port, requests, rates, seconds, seed)
        ramp = phases_of(calls, began, _RAMP, closed, seconds, in_time_s)
        peak = max(ramp, key=lambda phase: phase.goodput)
        if peak is not ramp[-1]:
            break
        closed = peak.rate  # more may be in it: higher rates
    before = cpu_s(gateway.process.pid)
    shares = (_CALM, *SHARES)
    rates = [share * peak.goodput for share in shares]
    calls, began = offered(gateway.port, requests, rates, seconds, seed + len(_RAMP))
    used = cpu_s(gateway.process.pid) - before
    _, *phases = phases_of(calls, began, shares, peak.goodput, seconds, in_time_s)
    return Round(peak, phases, used / (len(shares) * seconds))


def main() -> None:
    """Read the flags, measure, show and write."""
    cli = script.flags(__doc__, seconds=8.0)
    cli.add_argument("--users", type=int, default=200)
    cli.add_argument("--articles", type=int, default=10_000, help="in the embedded index")
    cli.add_argument("--limit", type=int, default=20, help="candidates of an answer")
    cli.add_argument("--timeout-ms", type=int, default=1_000)
    cli.add_argument("--set", action="append", default=[], help="a setting, NAME=VALUE")
    cli.add_argument("--against", type=Path, help="another checkout, in the same rounds")
    chosen = script.read(cli)
    machine = describe()
    sides = checkouts(chosen.against)
    found: dict[str, list[Round]] = {side.name: [] for side in sides}
    with parts() as here:
        requests, gateways = _started(chosen, here, sides)
        in_time_s = chosen.timeout_ms / 1000
        for number in range(chosen.rounds):
            for name, gateway in gateways.items():
                seed = 100 * number
                found[name].append(measured(gateway, requests, chosen.seconds, in_time_s, seed))
        cores = here.cores.said
    finish(_result(chosen, found, [cores, *said_of(sides)]), machine, chosen.results)


def _started(
    chosen: argparse.Namespace, here: Parts, sides: list[Checkout]
) -> tuple[list[Request], dict[str, LocalGateway]]:
    users = dealt(range(chosen.users), _SIGNALS)
    articles = here.folder / "articles.jsonl"
    write_articles(chosen.articles, articles)
    loaded = Loaded(
        here,
        redis=here.redis(),
        student=chosen.student,
        engine=here.engine(chosen.student, 0.0, _TOKENS),
        articles=articles,
        users=users,
        more=dict(setting.split("=", 1) for setting in chosen.set),
    )
    body = {"limit": chosen.limit, "timeout_ms": chosen.timeout_ms}
    requests = [Request(orjson.dumps({"user_id": user, **body})) for user in users]
    gateways = {}
    for side, gateway in loaded.start(sides):
        wait_until_up(gateway, "redis", "index", "student")
        gateways[side.name] = gateway
        for _ in range(3):  # lists are kept, caches fill
            offered(gateway.port, requests, [40.0], len(users) / 40, seed=1)
    return requests, gateways


def _result(
    chosen: argparse.Namespace, found: dict[str, list[Round]], said: Sequence[str]
) -> Result:
    """The medians over the rounds, and what the bars are."""
    heads = ["side", "of the peak", "offered/s", "in time/s", "of the peak's", "late", "refused"]
    heads += [
        "accepted p50 ms",
        "p99 ms",
        "refusal p50 ms",
        "p99 ms",
        "generator p99 ms",
        "settled s",
    ]
    rows, sentences = [], []
    for name, rounds in found.items():
        peaks = [one.peak for one in rounds]
        rows.append([name, *_cells(peaks, peaks, "peak")])
        for number, share in enumerate(SHARES):
            phases = [one.phases[number] for one in rounds]
            rows.append([name, *_cells(phases, peaks, f"{share:g}")])
        sentences.append(_said(name, rounds))
    return Result(
        name="overload",
        title=f"Overload: 0.5 to 3 times the peak, {chosen.timeout_ms} ms to answer",
        heads=heads,
        rows=rows,
        data={"rounds": found},
        said=[
            *sentences,
            f"{chosen.rounds} rounds of {chosen.seconds:g} s a rate; medians.",
            *said,
        ],
        draw=lambda axes: _draw(axes, found),
    )


def _cells(phases: Sequence[Phase], peaks: Sequence[Phase], share: str) -> list[str]:
    def median(values: Sequence[float], digits: int = 1) -> str:
        return f"{statistics.median(values):,.{digits}f}"

    return [
        share,
        median([one.rate for one in phases]),
        median([one.goodput for one in phases]),
        median([one.goodput / peak.goodput for one, peak in zip(phases, peaks, strict=True)], 2),
        median([one.late for one in phases], 0),
        median([one.refused for one in phases], 0),
        median([one.accepted_ms[0] for one in phases]),
        median([one.accepted_ms[1] for one in phases]),
        median([one.refused_ms[0] for one in phases]),
        median([one.refused_ms[1] for one in phases]),
        median([one.generator_ms for one in phases], 2),
        median([one.settled_s for one in phases]),
    ]


def _said(name: str, rounds: Sequence[Round]) -> str:
    """The four figures that are promised, and whose core it was."""
    at_peak, at_three = SHARES.index(1.0), SHARES.index(3.0)
    kept = statistics.median(one.phases[at_three].goodput / one.peak.goodput for one in rounds)
    slower = statistics.median(
        one.phases[at_three].accepted_ms[1] / one.phases[at_peak].accepted_ms[1] for one in rounds
    )
    refusals = statistics.median(one.phases[at_three].refused_ms[1] for one in rounds)
    again = statistics.median(one.phases[-1].settled_s for one in rounds)
    core = statistics.median(one.core for one in rounds)
    return (
        f"{name}: at 3 times the peak {kept:.0%} of its goodput; p99 of the accepted"
        f" {slower:.2f} times that at the peak; p99 of refusals {refusals:.1f} ms; normal again"
        f" {again:.1f} s after. It had {core:.0%} of its core."
    )


def _draw(axes: Axes, found: dict[str, list[Round]]) -> None:
    for name, rounds in found.items():
        offers = [statistics.median(one.phases[n].rate for one in rounds) for n in range(4)]
        goods = [statistics.median(one.phases[n].goodput for one in rounds) for n in range(4)]
        axes.plot(offers, goods, "o-", label=name)
    axes.set(xlabel="requests offered a second", ylabel="answers in time a second")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


if __name__ == "__main__":
    script.run(main)
