"""Gateways in front of a measured engine, and the requests of users of whom each is another."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import orjson
import uvloop

from loadtests.gpu.choosing import Level, cached_share
from loadtests.gpu.engines import forget_prefixes, metrics_of
from loadtests.gpu.students import Measurable
from loadtests.local_gateway import HOST, LocalGateway
from loadtests.raw_client import Reply
from loadtests.rig.balanced import closed_loops
from loadtests.rig.gateways import Loaded
from loadtests.rig.loops import OK, Calls, Judge, Request, answered, open_loop
from loadtests.rig.machine import ROOT
from loadtests.rig.parts import Parts, wait_until_up
from loadtests.rig.prompts import completions
from loadtests.rig.rounds import Figures, Measured, Side, in_turns
from loadtests.rig.scene import in_turn
from loadtests.rig.sides import PER_S, figures_of
from loadtests.rig.users import inline, reworded
from service.errors import ConfigurationError
from service.manifest import MANIFEST
from service.records import Signal

DIRECT, GATEWAY = "engine by HTTP", "by the gateways"
SIGNALS = 20
_TIMEOUT_MS = 30_000
_AGAIN_S = 120.0
_CUT_SHORT = tuple(
    f'"generation_{what}"'.encode() for what in ("overloaded", "timeout", "unavailable", "partial")
)


@dataclass(frozen=True, slots=True)
class Users:
    """Those who ask, and what is asked of the engine for them."""

    requests: Sequence[Request]
    """To the gateways, signals inline."""
    with_one_more: Sequence[Request]
    """The same users a little later: with a newer signal."""
    prompts: Sequence[Request]
    """To the engine."""


def users(student: Measurable, count: int) -> Users:
    """So many users with 20 signals each, in words of their own."""
    made = list(reworded(count, SIGNALS + 1))
    before = [(user, signals[1:]) for user, signals in made]
    return Users(
        requests=[_asked(user, signals) for user, signals in before],
        with_one_more=[_asked(user, signals) for user, signals in made],
        prompts=completions(student.folder / MANIFEST, [signals for _, signals in before]),
    )


@dataclass(frozen=True, slots=True)
class Stage:
    """Gateways that have an engine's URL, and the users."""

    gateways: Sequence[LocalGateway]
    engine: str
    asked: Users
    seconds: float
    rounds: int

    def wait(self) -> None:
        """Until every gateway sends its engine calls again, after that has been started anew.

        Raises `ConfigurationError` with an answer where one does not.
        """
        for gateway in self.gateways:
            until = time.monotonic() + _AGAIN_S
            while (said := self._tried(gateway)) != OK:
                if time.monotonic() > until:
                    raise ConfigurationError(f"the engine is up and its gateway says: {said}")
                time.sleep(0.5)

    def saturated(self, callers: int) -> Measured:
        """Users a second of the engine asked directly, and through the gateways, in turns."""
        port = int(self.engine.rpartition(":")[2])

        def side(name: str, ports: Sequence[int], asked: Sequence[Request], judge: Judge) -> Side:
            make = in_turn(asked)

            def turn() -> Figures:
                forget_prefixes(self.engine)
                return figures_of(name, self._loop(ports, make, callers, judge))

            return Side(name, turn)

        return in_turns(
            [
                side(DIRECT, [port], self.asked.prompts, answered),
                side(GATEWAY, self._ports, self.asked.requests, computed),
            ],
            self.rounds,
        )

    def level(self) -> Callable[[int], Level]:
        """What measures a number of callers."""
        make = in_turn(self.asked.requests)

        def measure(callers: int) -> Level:
            forget_prefixes(self.engine)
            calls = self._loop(self._ports, make, callers, computed)
            figures = figures_of(f"{callers} callers", calls)
            return Level(callers, figures[PER_S], figures["p95 ms"])

        return measure

    def cached(self, per_s: float) -> tuple[float, float]:
        """Shares of prompt tokens that the prefix cache has: of new users, and of the same again.

        They come at this rate, each with one signal more the second time.
        """
        forget_prefixes(self.engine)
        shares = []
        for asked in (self.asked.requests, self.asked.with_one_more):
            come = asked[: max(8, int(per_s * 2 * self.seconds))]
            moments = [number / per_s for number in range(len(come))]
            before = metrics_of(self.engine)
            port = self._ports[0]
            uvloop.run(open_loop(HOST, port, in_turn(come), moments, judge=computed))
            shares.append(cached_share(before, metrics_of(self.engine)))
        return shares[0], shares[1]

    @property
    def _ports(self) -> list[int]:
        return [gateway.port for gateway in self.gateways]

    def _loop(
        self, ports: Sequence[int], make: Callable[[int], Request], callers: int, judge: Judge
    ) -> Calls:
        loop = closed_loops(ports, make, callers=callers, seconds=self.seconds, judge=judge)
        return uvloop.run(loop)

    def _tried(self, gateway: LocalGateway) -> str:
        request = self.asked.requests[0]
        headers = {"content-type": "application/json"}
        url = f"{gateway.url}{request.path}"
        given = httpx.post(url, content=request.body, headers=headers, timeout=60)
        return computed(Reply(given.status_code, given.content, 0.0, None, 0.0))


def stage(
    here: Parts,
    student: Measurable,
    engine: str,
    asked: Users,
    *,
    gateways: int,
    callers: int,
    seconds: float,
    rounds: int,
) -> Stage:
    """Start gateways with a stub index for an engine's URL; so many callers fit into them."""
    share = str(callers)
    loaded = Loaded(
        here,
        redis=here.redis(),
        student=student.folder / MANIFEST,
        index=here.serve("stub_index"),
        more={
            "STUDENTS__MAIN__ENGINES": json.dumps([engine]),
            "STUDENTS__MAIN__WINDOW": share,
            "MAX_IN_FLIGHT": str(max(256, callers)),
            "REUSE_MAX_AGE_S": "0",
            "CACHE_ENTRIES": "0",
        },
    )
    running = []
    for _ in range(gateways):
        folder = here.side_folder()
        running.append(here.gateway(ROOT, folder, loaded.settings(folder, 0)))
        wait_until_up(running[-1], "redis", "index")
    return Stage(running, engine, asked, seconds, rounds)


def ratio_to_offline(measured: Measured, offline_users_s: float) -> float:
    """Users a second through the gateways, of those without a server."""
    return statistics.median(measured.values(GATEWAY, PER_S)) / offline_users_s


def computed(reply: Reply) -> str:
    """A judge: `OK` where the engine has written to the end, whether or not it was a list.

    Of random weights it never is, and of a student now and then it is not; the work is done.
    """
    if reply.status != 200:
        return answered(reply)
    failed = [reason.decode() for reason in _CUT_SHORT if reason in reply.body]
    return failed[0] if failed else OK


def _asked(user: str, signals: Sequence[Signal]) -> Request:
    body = {"user_id": user, "signals": inline(signals), "timeout_ms": _TIMEOUT_MS}
    return Request(orjson.dumps(body))
