"""One GPU: users a second behind the gateway, beside vLLM without a server on the same card.

    python -m loadtests.gpu                       # some 40 minutes on an H100-class card
    python -m loadtests.gpu --device cpu --tiny   # the script itself, tried without one

Two students are measured: the one that serves, and one of a billion parameters with random weights
(`loadtests/gpu/students.py`). For each of them:

1. Speculation on and off, then other values of `max_num_seqs` with the better of the two. Of each:
   users a second with twice as many callers as that, beside the same prompts sent to the engine by
   HTTP; the most users a second whose p95 is at most `--p95-ms`, by a search over callers; and the
   share of prompt tokens in the prefix cache, of new users and of users with one signal more.
2. The smallest `max_num_seqs` with nearly the most users a second within `--p95-ms`: it belongs
   into the manifest as `engine.flags`.
3. The same engine offline, all prompts at once, and the share of its users a second that is left
   behind the gateways. The aim is 0.9.

No user comes twice within a turn as long as `--users` lasts, and before each turn the engine
forgets its prefixes. A gateway is one process on one core: `--gateways` of them share the callers,
and all of them a stub index. Without a GPU it ends with status 2.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from loadtests.gpu.choosing import Level, best_within, levels, smallest_that_suffices
from loadtests.gpu.engines import Choice, Engines, engines
from loadtests.gpu.stage import DIRECT, GATEWAY, Stage, ratio_to_offline, stage, users
from loadtests.gpu.students import Measurable, serving, untrained
from loadtests.rig import script
from loadtests.rig.cores import Cores
from loadtests.rig.machine import describe
from loadtests.rig.parts import Parts, parts
from loadtests.rig.plots import Draw
from loadtests.rig.results import Result, finish
from loadtests.rig.rounds import Measured
from loadtests.rig.sides import PER_S

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADS = (
    *("student", "speculation", "max_num_seqs", "users/s", "to HTTP"),
    *("users/s in time", "callers", "cached, new", "cached, one more"),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """An engine with one choice, measured."""

    student: str
    choice: Choice
    saturated: Measured
    levels: list[Level]
    cached: tuple[float, float]
    limit_ms: float

    @property
    def within(self) -> Level | None:
        """The most users a second in time."""
        return best_within(self.levels, self.limit_ms)

    @property
    def rate(self) -> float:
        """What variants are compared by: users a second in time; of all where none is in time."""
        if self.within is not None:
            return self.within.users_s
        return self.saturated.spread(GATEWAY, PER_S).median

    def row(self) -> list[str]:
        """Its cells."""
        within = self.within
        return [
            self.student,
            "on" if self.choice.speculation else "off",
            str(self.choice.seqs),
            self.saturated.spread(GATEWAY, PER_S).said(1),
            self.saturated.ratio(GATEWAY, DIRECT, PER_S).said(),
            f"{within.users_s:,.1f}" if within else "none",
            str(within.callers) if within else "–",
            *(f"{share:.0%}" for share in self.cached),
        ]

    def data(self) -> dict[str, object]:
        """All of it, for programs."""
        return {
            "student": self.student,
            "speculation": self.choice.speculation,
            "max_num_seqs": self.choice.seqs,
            "turns": self.saturated.turns,
            "levels": self.levels,
            "cached_new": self.cached[0],
            "cached_one_more": self.cached[1],
        }


def main() -> None:
    """Read the flags, measure both students, show and write."""
    chosen = _chosen()
    everything = frozenset(os.sched_getaffinity(0))
    machine = describe()
    found: list[Variant] = []
    said: list[str] = []
    # Nothing is pinned: an engine has threads of its own, and a machine with a card has many cores.
    with parts(Cores(everything, everything, everything)) as here:
        on = engines(chosen.device, here.folder)
        students = [
            serving(chosen.student),
            untrained(chosen.student, here.folder / "untrained", tiny=chosen.tiny),
        ]
        for student in students:
            variants, sentence = _measured(chosen, here, on, student)
            found += variants
            said.append(sentence)
    where = on.card or "the CPU, which says nothing about a GPU"
    said += [
        f"On {where}; {chosen.gateways} gateways; in time: p95 at most {chosen.p95_ms:g} ms; "
        f"{chosen.rounds} rounds of {chosen.seconds:g} s."
    ]
    rows = [one.row() for one in found]
    data = {"asked": script.asked(chosen), "variants": [one.data() for one in found], "card": where}
    title = "One card behind the gateway" if on.card else "The script for one card, tried on a CPU"
    result = Result("gpu", title, _HEADS, rows, data, said, _drawn(found))
    finish(result, machine, chosen.results)


def _chosen() -> argparse.Namespace:
    cli = script.flags(__doc__, rounds=3, seconds=5.0)
    cli.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    cli.add_argument("--tiny", action="store_true", help="small and short, to try the script")
    cli.add_argument("--p95-ms", type=float, help="of an answer: 150, with --tiny 20,000")
    cli.add_argument("--seqs", type=int, nargs="+", help="max_num_seqs: 64 32 128 256, the first")
    cli.add_argument("--callers", type=int, help="the most that are tried: 1,024, with --tiny 4")
    cli.add_argument("--users", type=int, help="10,000, with --tiny 32")
    cores = len(os.sched_getaffinity(0))
    cli.add_argument("--gateways", type=int, default=max(1, min(8, cores // 2)))
    tiny = cli.parse_known_args()[0].tiny
    given = {"p95_ms": 20_000.0, "seqs": [4], "callers": 4, "users": 32}
    full = {"p95_ms": 150.0, "seqs": [64, 32, 128, 256], "callers": 1_024, "users": 10_000}
    cli.set_defaults(**({**given, "rounds": 1, "seconds": 2.0} if tiny else full))
    chosen = script.read(cli)
    if chosen.device == "cpu" and not tiny:
        cli.error("--device cpu tries the script alone: add --tiny")
    if min(chosen.seqs) < 1 or chosen.gateways < 1 or chosen.p95_ms <= 0:
        cli.error("--seqs and --gateways take 1 or more, and --p95-ms more than 0")
    return chosen


def _measured(
    chosen: argparse.Namespace, here: Parts, on: Engines, student: Measurable
) -> tuple[list[Variant], str]:
    """Every variant of a student, and a sentence on it beside vLLM offline."""
    asked = users(student, chosen.users)
    most = max(chosen.callers, 2 * max(chosen.seqs))
    url = f"http://127.0.0.1:{on.port}"
    there = stage(
        here,
        student,
        url,
        asked,
        gateways=chosen.gateways,
        callers=most,
        seconds=chosen.seconds,
        rounds=chosen.rounds,
    )
    first = [Choice(speculation, chosen.seqs[0]) for speculation in (True, False)]
    found = [_variant(chosen, on, there, student, choice) for choice in first]
    speculation = max(found, key=lambda one: one.rate).choice.speculation
    more = [Choice(speculation, seqs) for seqs in chosen.seqs[1:]]
    found += [_variant(chosen, on, there, student, choice) for choice in more]
    alike = {one.choice.seqs: one for one in found if one.choice.speculation == speculation}
    suffices = smallest_that_suffices({seqs: one.rate for seqs, one in alike.items()})
    best = alike[suffices]
    offline = on.offline(student, best.choice, asked.prompts, chosen.rounds)
    ratio = ratio_to_offline(best.saturated, offline.users_s.median)
    return found, (
        f"{student.name}: max_num_seqs {suffices} suffices, speculation "
        f"{'on' if speculation else 'off'}; offline {offline.users_s.said(1)} users/s of "
        f"{offline.tokens:.1f} tokens, so {ratio:.2f} of them are left behind the gateways "
        "(the aim is 0.9)."
    )


def _variant(
    chosen: argparse.Namespace, on: Engines, there: Stage, student: Measurable, choice: Choice
) -> Variant:
    guess = "on" if choice.speculation else "off"
    Console(stderr=True).print(
        f"{student.name}, speculation {guess}, max_num_seqs {choice.seqs}", highlight=False
    )
    with on.serving(student, choice):
        there.wait()
        saturated = there.saturated(2 * choice.seqs)
        found = levels(there.level(), chosen.p95_ms, chosen.callers)
        # One of the gateways is asked, at half of what it has shown.
        rate = saturated.spread(GATEWAY, PER_S).median / chosen.gateways
        cached = there.cached(rate / 2)
    return Variant(student.name, choice, saturated, found, cached, chosen.p95_ms)


def _drawn(found: list[Variant]) -> Draw:
    """p95 over users a second, a line a variant."""

    def draw(axes: Axes) -> None:
        for one in found:
            guess = "on" if one.choice.speculation else "off"
            label = f"{one.student}, {guess}, {one.choice.seqs}"
            rates = [level.users_s for level in one.levels]
            axes.plot(rates, [level.p95_ms for level in one.levels], "o-", label=label)
        axes.axhline(found[0].limit_ms, color="grey", linewidth=1)
        axes.set(xlabel="users/s", ylabel="p95 ms", yscale="log")
        axes.legend(frameon=False, fontsize=7)

    return draw


if __name__ == "__main__":
    script.run(main)
