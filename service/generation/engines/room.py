"""How many calls an engine is given at once: its window, or fewer while it says that it is busy.

Additive increase, multiplicative decrease (Chiu and Jain, "Analysis of the increase and decrease
algorithms for congestion avoidance in computer networks", 1989): a call that was turned away
narrows the room, every full round of calls that were served widens it by one. So gateways that
share an engine come to equal shares of it without knowing of each other. Moments are passed in
(seconds on one clock); nothing waits here.
"""

from __future__ import annotations

_DECREASE = 0.75
_FIRST_REST_S = 0.05
_MOST_REST_S = 1.0
_MOST_ASKED_S = 30.0


class Room:
    """The room of one engine, at most `window` calls and at least one."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._calls = float(window)
        self._narrowed_at = float("-inf")
        self._rests_until = float("-inf")
        self._rest_s = _FIRST_REST_S

    @property
    def calls(self) -> int:
        """Calls that may run at once."""
        return max(1, int(self._calls))

    @property
    def whole(self) -> bool:
        """True while the room is as large as the window."""
        return self._calls >= self._window

    @property
    def rests_until(self) -> float:
        """The moment before which nothing is sent."""
        return self._rests_until

    def turned_away(self, now: float, began: float, others: int, asked_s: float) -> None:
        """A call that was sent at `began` found the engine busy, with `others` of ours running.

        What ran beside it is known to fit, so no more than that may run. Only a call that was sent
        after the last decrease says anything new: the room then shrinks by a quarter at least.
        Where others run, their ends tell when to try again. Where none does, the engine rests for
        the `asked_s` seconds of its Retry-After, or for longer and longer without one.
        """
        if began >= self._narrowed_at:
            self._calls *= _DECREASE
            self._narrowed_at = now
        self._calls = max(1.0, min(self._calls, others))
        if others == 0:
            rest_s = min(asked_s, _MOST_ASKED_S) if asked_s > 0 else self._rest_s
            self._rest_s = min(2 * self._rest_s, _MOST_REST_S)
            self._rests_until = now + rest_s

    def served(self, running: int) -> None:
        """A call came to its end while `running` were in work, itself included."""
        self._rest_s = _FIRST_REST_S
        if running >= self.calls:
            self._calls = min(float(self._window), self._calls + 1 / self._calls)

    def shut_to_one(self) -> None:
        """One call at a time, until `open_wide`."""
        self._calls = 1.0

    def open_wide(self) -> None:
        """The whole window again."""
        self._calls = float(self._window)
