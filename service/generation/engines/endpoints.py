"""A replica of an engine: ejected when it fails, readmitted when it has proved itself.

    warming ──probe ok──► up ──2 failures, 4 refusals, unfit or hung──► ejected ──probe ok──► up

A probe is the list of models and a real completion of one token: `/health` may say 200 over an
engine that hangs. An engine may pass it and still serve no call (prompts longer than its context,
a sampling parameter that it does not know). So one that refused its calls, or failed again before
it had served any, is readmitted *on trial* only: one call at a time, and the first one decides.

    ejected ──probe ok──► trial ──a call served──► up
       ▲                    └──it failed or was refused──► ejected, for longer each time
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from service.errors import GenerationError
from service.generation.engines.calls import (
    Call,
    Engine,
    EngineBusy,
    EngineFailed,
    EngineRefused,
    EngineUnfit,
)
from service.generation.engines.completions import StreamedSamples
from service.generation.engines.health import Patience, Pulse
from service.generation.engines.lane import Dated, Lane
from service.records import Decoding
from service.telemetry import Metrics
from service.telemetry_engines import EngineLoad

logger = logging.getLogger(__name__)

_FAILURES = 2
_REFUSALS = 4
_FRUITLESS = 2
_WATCH_S = 0.1
_IDLE_CHECK_S = 5.0
_LIST_TIMEOUT_S = 5.0
_BACK_OFF_S = 0.25
_BACK_OFF_MAX_S = 5.0
_WARMING_MAX_S = 1.0
_TRIAL_WAIT_S = 0.5
_TRIAL_WAIT_MAX_S = 30.0


class EndpointState(StrEnum):
    """Where an endpoint stands: never admitted yet, in service, on trial, or out of service."""

    WARMING = "warming"
    UP = "up"
    TRIAL = "trial"
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
        *,
        student: str,
    ) -> None:
        """`on_eject(endpoint, hung)` deals with the calls that were queued and running there.

        `student` tells its metrics from those of others whose calls go to the same engine.
        """
        self.engine = engine
        self.lane = lane
        self.pulse = Pulse(patience)
        self.state = EndpointState.WARMING
        self.reason = "not asked yet"
        self._models = models
        self._on_eject = on_eject
        self._failures = 0
        self._refusals = 0
        self._served = False
        """Whether a call was served since it was admitted."""
        self._fruitless = 0
        """Times in a row that it was ejected for its calls without having served any."""
        self._heard_at = 0.0
        self._student = student
        self._metrics = metrics

    @property
    def _of(self) -> tuple[str, str]:
        """The labels of its metrics."""
        return self._student, self.engine.url

    def _load(self) -> EngineLoad:
        lane = self.lane
        return EngineLoad(
            lane.running, lane.waiting, lane.room.calls, self.state is EndpointState.UP
        )

    async def open(self) -> None:
        """Make the engine's session, and show its metrics."""
        await self.engine.open()
        self._metrics.engines.show(*self._of, self._load)

    async def close(self) -> None:
        """Close the engine's session, and end its metrics: nothing may be in work any more."""
        await self.engine.close()
        self._metrics.engines.hide(*self._of, self._load)

    @property
    def url(self) -> str:
        """The engine's base URL."""
        return self.engine.url

    @property
    def is_up(self) -> bool:
        """True while calls may be sent."""
        return self.state in (EndpointState.UP, EndpointState.TRIAL)

    def status(self) -> EngineStatus:
        """A snapshot for people and probes."""
        return EngineStatus(self.url, self.state, self.reason, self.lane.running, self.lane.waiting)

    def begun(self, waited_s: float) -> None:
        """A call that has waited so long has been given a slot."""
        self._metrics.engine_queued.labels(*self._of).observe(waited_s)
        self._metrics.engine_fill.labels(*self._of).observe(
            self.lane.running / self.lane.room.calls
        )

    def ended(self, took_s: float) -> None:
        """A call has left its slot."""
        self._metrics.engine_took.labels(*self._of).observe(took_s)

    def served(self) -> None:
        """A call was served: what went wrong before it no longer counts."""
        self._heard()
        room, was_shut = self.lane.room, self._unproved
        self._refusals = self._fruitless = 0
        self._served = True
        if was_shut:
            room.open_wide()
        if self.state is EndpointState.TRIAL:
            self._come_up()
        elif not room.whole:
            room.served(self.lane.running)
            if room.whole:
                logger.info("engine %s takes its whole window again", self.url)

    def partly_served(self) -> None:
        """A call had text and was cut off by its caller: on trial, that is proof enough."""
        if self.state is EndpointState.TRIAL:
            self.served()

    def refused(self, error: EngineRefused) -> None:
        """The engine would not serve a call. Four in a row, with none served between, eject it."""
        self._heard()
        self._refusals += 1
        if self._refusals == 1:
            logger.error("engine %s refused a call: it %s", self.url, error)
        if self.state is EndpointState.TRIAL or (self.is_up and self._refusals >= _REFUSALS):
            self._fruitless = max(self._fruitless + 1, _FRUITLESS)
            self._eject(f"refuses calls: {error}", hung=False)

    def failed(self, error: GenerationError) -> None:
        """A call failed on the engine's account. Two in a row, or an unfit engine, eject it."""
        self._missed(error, self._times_fruitless())

    def turned_away(self, error: EngineBusy, began: float) -> None:
        """The engine had no room for a call that was sent at `began` and whose slot is free now."""
        self._heard()
        room = self.lane.room
        if room.whole:
            logger.warning("engine %s is busy (%s): it gets fewer calls at once", self.url, error)
        now = asyncio.get_running_loop().time()
        room.turned_away(now, began, self.lane.running, error.retry_after_s)

    def _heard(self) -> None:
        """The engine has answered: failures before this are no longer in a row with later ones."""
        self._failures = 0
        self._heard_at = asyncio.get_running_loop().time()

    @property
    def _unproved(self) -> bool:
        """Whether a probe alone is no proof that it serves calls."""
        return self._fruitless >= _FRUITLESS

    def _times_fruitless(self) -> int:
        """What `_fruitless` becomes when it is ejected now, for one of its calls."""
        return 0 if self._served else self._fruitless + 1

    def _missed(self, error: GenerationError, fruitless: int) -> None:
        self._failures += 1
        if self.is_up and (
            isinstance(error, EngineUnfit)
            or self._failures >= _FAILURES
            or self.state is EndpointState.TRIAL
        ):
            self._fruitless = fruitless
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
        if self._unproved:
            doublings = min(self._fruitless - _FRUITLESS, 16)
            wait_s = min(_TRIAL_WAIT_S * 2**doublings, _TRIAL_WAIT_MAX_S)
            await asyncio.sleep(wait_s * random.uniform(0.75, 1.0))
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
                self._fruitless = self._times_fruitless()
                self._eject(f"no chunk for {self.pulse.silence_s(now):.1f} s", hung=True)
            elif not self.pulse.busy and now - self._heard_at > _IDLE_CHECK_S:
                try:
                    await self._check_models()
                except EngineBusy:
                    self._heard()
                except GenerationError as error:
                    self._missed(error, self._fruitless)
                else:
                    self._heard()

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
        self.pulse.forgive(asyncio.get_running_loop().time())
        self._heard()
        self._served = False
        if self._unproved:
            self.state = EndpointState.TRIAL
            self.lane.room.shut_to_one()
        else:
            self._come_up()

    def _come_up(self) -> None:
        logger.info("engine %s is up", self.url)
        self.state, self.reason = EndpointState.UP, ""
        self._refusals = 0

    def _eject(self, reason: str, *, hung: bool) -> None:
        """Out of service. What is the same as at the last trial is not said again."""
        level = logging.DEBUG if self._fruitless > _FRUITLESS else logging.WARNING
        logger.log(level, "engine %s is out of service: %s", self.url, reason)
        self.state, self.reason = EndpointState.EJECTED, reason
        self._on_eject(self, hung)


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
