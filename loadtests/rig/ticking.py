"""Waking up at planned moments more exactly than event loops do, which count in milliseconds.

A request that is sent late by half a millisecond looks half a millisecond slow, since its time
counts from the planned moment. Linux' timers (`timerfd`) count in nanoseconds, and wake the loop
without spinning on a core that stubs need. How late it was is in each result.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable, Sequence

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLOCK_MONOTONIC, _TFD_NONBLOCK, _TFD_TIMER_ABSTIME = 1, 0o4000, 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


async def at_moments(began: float, moments: Sequence[float], call: Callable[[int], None]) -> None:
    """Call `call(number)` at `began` + `moments[number]`, for each of them in order.

    `began` is of `time.perf_counter`, which is the monotonic clock on Linux; moments are seconds
    in ascending order. Ends after the last call. Those that are due already are called at once, so
    none is left out where the loop is late. Raises what `call` raises.
    """
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    timer = _LIBC.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK)
    if timer < 0:
        raise OSError(ctypes.get_errno(), "no timer could be made")
    at = 0

    def due() -> None:
        nonlocal at
        try:
            while at < len(moments) and began + moments[at] <= time.perf_counter():
                at += 1
                call(at - 1)
        except Exception as error:
            over.set_exception(error)
            return
        if at < len(moments):
            _set(timer, began + moments[at])
        elif not over.done():
            over.set_result(None)

    def woken() -> None:
        os.read(timer, 8)
        if not over.done():
            due()

    loop.add_reader(timer, woken)
    try:
        due()
        await over
    finally:
        loop.remove_reader(timer)
        os.close(timer)


def _set(timer: int, moment: float) -> None:
    """Have it wake us at this moment; at once where that has passed."""
    whole = max(1, int(moment * 1e9))
    setting = _Timer(_Timespec(0, 0), _Timespec(*divmod(whole, 1_000_000_000)))
    if _LIBC.timerfd_settime(timer, _TFD_TIMER_ABSTIME, ctypes.byref(setting), None) != 0:
        raise OSError(ctypes.get_errno(), "the timer could not be set")
