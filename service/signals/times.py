"""The times that a stored or inline signal may carry."""

from __future__ import annotations

from collections.abc import Sequence

from service.dates import CLOCK_SKEW_MS
from service.errors import InvalidInput
from service.records import Signal


def not_ahead(signals: tuple[Signal, ...], now_ms: int) -> tuple[Signal, ...]:
    """Without the events from the future that writers with another clock have stored.

    The same tuple where there are none.
    """
    until_ms = now_ms + CLOCK_SKEW_MS
    if max([signal.at_ms for signal in signals], default=0) <= until_ms:
        return signals
    return tuple([signal for signal in signals if signal.at_ms <= until_ms])


def validate_times(signals: Sequence[Signal], now_ms: int) -> None:
    """Refuse events from the future, or from before 1970. Late events are welcome.

    Raises `InvalidInput` with the field `signals[i].at`.
    """
    for index, signal in enumerate(signals):
        if signal.at_ms > now_ms + CLOCK_SKEW_MS:
            ahead_s = (signal.at_ms - now_ms) // 1000
            raise InvalidInput(
                f"lies {ahead_s} s ahead of the server's clock; at most {CLOCK_SKEW_MS // 1000} s"
                " are accepted",
                field=f"signals[{index}].at",
            )
        if signal.at_ms < 0:
            raise InvalidInput("lies before 1970", field=f"signals[{index}].at")
