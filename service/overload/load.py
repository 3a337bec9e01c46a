"""How busy this process is, and what follows from it: the state behind the pure rules beside it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from service.overload.admission import Admission
from service.overload.gradient import UNKNOWN, Usual
from service.overload.run_queue import RunQueue
from service.overload.saving import Saving, Step, smoothed

log = logging.getLogger(__name__)

NEVER_SAVING = Saving(samples_from=2.0, queries_from=2.0)


class Load:
    """Places, turns and savings of one process. `look` keeps them up to date."""

    def __init__(
        self,
        admission: Admission,
        saving: Saving = NEVER_SAVING,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`clock`: see `RunQueue`."""
        self.admission = admission
        self.run_queue = RunQueue(clock)
        self.saving = saving
        self._step = Step.NOTHING
        self._wait_s = 0.0
        self._usual = UNKNOWN

    @property
    def wait_s(self) -> float:
        """What requests waited for their turns to compute of late, on average, seconds."""
        return self._wait_s

    @property
    def step(self) -> Step:
        """How much is saved on each request."""
        return self._step

    def look(self, lag_s: float) -> None:
        """Some time has passed: `lag_s` is how late the loop was to tell (seconds).

        It counts as one request's wait: what computes without a turn delays requests, too.
        """
        seen = self.run_queue.seen()
        self._wait_s = (seen.waited_s + lag_s) / (seen.begun + 1)
        if seen.begun:
            now = Usual(seen.computed_s / seen.begun, seen.deadlines_s / seen.begun)
            before = now if self._usual is UNKNOWN else self._usual
            self._usual = Usual(*map(smoothed, before, now))
        self.admission.look(self._wait_s, self._usual)
        step, self._step = self._step, self.saving.step(self.admission.pressure, self._step)
        if self._step and not step:
            log.warning("places are short: less is spent on each request")
        elif step and not self._step:
            log.info("there are places enough: each request gets what is usual")
