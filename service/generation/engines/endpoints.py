"""Replicas of one engine: pick one, eject it when it fails, readmit it when it has proved itself.

    warming ──probe ok──► up ──2 failures, unfit or hung──► ejected ──probe ok──► up

A probe is the list of models and a real completion of one token: `/health` may say 200 over an
engine that hangs.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Generic, TypeVar

from service.errors import GenerationError
from service.generation.engines.calls import Call, Engine, EngineFailed, EngineUnfit
from service.generation.engines.completions import StreamedSamples
from service.generation.engines.health import Patience, Pulse
from service.generation.engines.lane import Dated, Lane
from service.records import Decoding
from service.telemetry import Metrics

logger = logging.getLogger(__name__)

_BOUND = 1.25
_FAILURES = 2
_WATCH_S = 0.1
_IDLE_CHECK_S = 5.0
_LIST_TIMEOUT_S = 5.0
_BACK_OFF_S = 0.25
_BACK_OFF_MAX_S = 5.0
_WARMING_MAX_S = 1.0


class EndpointState(StrEnum):
    """Where an endpoint stands: never admitted yet, in service, or out of it."""

    WARMING = "warming"
    UP = "up"
    EJECTED = "ejected"


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """One engine as `/readyz` and `doctor` show it; `reason` says why it is not up."""

    url: str
    state: EndpointState
    reason: str
    running: int
    waiting: int


T = TypeVar("T", bound=Dated)


class Endpoint(Generic[T]):
    """One replica: its engine, the lane before it, its pulse, and whether it is in service."""

    def __init__(
        self,
        engine: Engine,
        models: Collection[str],
        lane: Lane[T],
        patience: Patience,
        metrics: Metrics,
        on_eject: Callable[[Endpoint[T], bool], None],
    ) -> None:
        """`on_eject(endpoint, hung)` deals with the calls that were queued and running there."""
        self.engine = engine
        self.lane = lane
        self.pulse = Pulse(patience)
        self.state = EndpointState.WARMING
        self.reason = "not asked yet"
        self._models = models
        self._on_eject = on_eject
        self._failures = 0
        self._heard_at = 0.0
        metrics.engine_running.labels(engine.url).set_function(lambda: lane.running)
        metrics.engine_waiting.labels(engine.url).set_function(lambda: lane.waiting)
        self._up = metrics.engine_up.labels(engine.url)
        self._up.set(0)

    @property
    def url(self) -> str:
        """The engine's base URL."""
        return self.engine.url

    @property
    def is_up(self) -> bool:
        """True while calls may be sent."""
        return self.state is EndpointState.UP

    def status(self) -> EngineStatus:
        """A snapshot for people and probes."""
        return EngineStatus(self.url, self.state, self.reason, self.lane.running, self.lane.waiting)

    def succeeded(self) -> None:
        """A call got an answer: failures before it no longer count."""
        self._failures = 0
        self._heard_at = asyncio.get_running_loop().time()

    def failed(self, error: GenerationError) -> None:
        """A call failed on the engine's account. Two in a row, or an unfit engine, eject it."""
        self._failures += 1
        if self.is_up and (isinstance(error, EngineUnfit) or self._failures >= _FAILURES):
            self._eject(str(error), hung=False)

    async def keep(self) -> None:
        """Probe until admitted, then watch until ejected, and again. Runs until cancelled."""
        while True:
            try:
                await self._until_admitted()
                await self._until_ejected()
            except Exception:  # the watch must outlive whatever it meets
                logger.exception("the watch over engine %s stumbled", self.url)
                await asyncio.sleep(_BACK_OFF_S)

    async def _until_admitted(self) -> None:
        wait_s = _BACK_OFF_S
        while not self.is_up:
            try:
                await self._probe()
            except GenerationError as error:
                self.reason = str(error)
            else:
                self._admit()
                return
            most = _WARMING_MAX_S if self.state is EndpointState.WARMING else _BACK_OFF_MAX_S
            wait_s = min(wait_s, most)
            # Spread, or all gateways would come back to a struggling engine in the same moment.
            await asyncio.sleep(wait_s * random.uniform(0.75, 1.0))
            wait_s *= 2

    async def _until_ejected(self) -> None:
        loop = asyncio.get_running_loop()
        while self.is_up:
            await asyncio.sleep(_WATCH_S)
            now = loop.time()
            if self.pulse.hung(now):
                self._eject(f"no chunk for {self.pulse.silence_s(now):.1f} s", hung=True)
            elif not self.pulse.busy and now - self._heard_at > _IDLE_CHECK_S:
                try:
                    await self._check_models()
                except GenerationError as error:
                    self.failed(error)
                else:
                    self.succeeded()

    async def _check_models(self) -> None:
        try:
            async with asyncio.timeout(_LIST_TIMEOUT_S):
                served = await self.engine.models()
        except TimeoutError:
            raise EngineFailed(f"/v1/models did not answer in {_LIST_TIMEOUT_S:g} s") from None
        if missing := sorted(set(self._models) - set(served)):
            raise EngineUnfit(
                f"serves {', '.join(served) or 'no model'}, but should serve {', '.join(missing)}"
            )

    async def _probe(self) -> None:
        """The list of models, and one token of each. Raises `GenerationError` saying what ails."""
        await self._check_models()
        limit_s = self.pulse.first_chunk_limit_s
        for model in self._models:
            call = Call((1,), model, Decoding(max_tokens=1), "")
            try:
                async with asyncio.timeout(limit_s):
                    await self.engine.stream(call, StreamedSamples(1, 1), lambda: None)
            except TimeoutError:
                raise EngineFailed(f"a one-token completion took over {limit_s:.0f} s") from None

    def _admit(self) -> None:
        logger.info("engine %s is up", self.url)
        self.state, self.reason = EndpointState.UP, ""
        self.pulse.forgive(asyncio.get_running_loop().time())
        self.succeeded()
        self._up.set(1)

    def _eject(self, reason: str, *, hung: bool) -> None:
        logger.warning("engine %s is out of service: %s", self.url, reason)
        self.state, self.reason = EndpointState.EJECTED, reason
        self._up.set(0)
        self._on_eject(self, hung)


def pick(
    endpoints: Sequence[Endpoint[T]], affinity: str, avoid: Collection[Endpoint[T]] = ()
) -> Endpoint[T] | None:
    """The endpoint for a user: always the same one, unless it is overloaded or out of service.

    Rendezvous hashing (Thaler and Ravishankar, 1998), so that a replica that comes or goes moves
    only its own users; with bounded load (Mirrokni, Thorup and Zadimoghaddam, 2018): one that
    would get more than 1.25 times the average gives way to the least loaded. None if there is none.
    """
    able = [endpoint for endpoint in endpoints if endpoint.is_up and endpoint not in avoid]
    if len(able) <= 1:
        return able[0] if able else None
    favourite = max(able, key=lambda endpoint: _score(affinity, endpoint.url))
    total = sum(endpoint.lane.outstanding for endpoint in able)
    if favourite.lane.outstanding + 1 <= math.ceil(_BOUND * (total + 1) / len(able)):
        return favourite
    return min(able, key=lambda endpoint: endpoint.lane.outstanding)


def _score(affinity: str, url: str) -> bytes:
    return blake2b(f"{affinity}\n{url}".encode(errors="surrogatepass"), digest_size=8).digest()


class RetryBudget:
    """Lets one call in ten be tried again, so that retries never multiply an overload.

    Each first try earns a tenth of a retry; `least` are there at the start, `most` may be saved.
    """

    def __init__(self, share: float = 0.1, least: float = 3.0, most: float = 30.0) -> None:
        self._share = share
        self._most = most
        self._saved = least

    def earn(self) -> None:
        """A call is made for the first time."""
        self._saved = min(self._most, self._saved + self._share)

    def spend(self) -> bool:
        """True if a retry may be made; it is then paid for."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
