"""Is an engine alive? Judged by the chunks it sends, not by what its `/health` says.

An engine is hung when calls are in work and no chunk has come, on any of them, for
max(2 s, 3 x the recent 99th percentile): of the gap between two chunks where calls are streaming,
of the time to the first chunk where calls wait for theirs, the longer where there are both.
Until enough has been seen to know either, a long grace stands in: a slow engine is not a dead one.

Silence is counted in busy time and across calls. Callers with deadlines shorter than the limit
give up one after the other; the silence that each of them met adds up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_RECENT = 512
_SPACING_S = 0.02
_REFRESH = 8


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an engine may be silent, in seconds."""

    first_token_grace_s: float = 30.0
    """Stands in for a percentile until `observations` have been made."""
    least_s: float = 2.0
    factor: float = 3.0
    observations: int = 20


class Recent:
    """The last few hundred observations. Those within `spacing_s` of each other count as one, the
    largest: chunks of one batch come together, and a batch is one observation."""

    def __init__(self, spacing_s: float = 0.0) -> None:
        self._spacing_s = spacing_s
        self._values: deque[float] = deque(maxlen=_RECENT)
        self._slot_at = float("-inf")

    def __len__(self) -> int:
        return len(self._values)

    def add(self, now: float, value: float) -> None:
        """Observe a value at a moment."""
        if now - self._slot_at < self._spacing_s:
            self._values[-1] = max(self._values[-1], value)
        else:
            self._slot_at = now
            self._values.append(value)

    def quantile(self, q: float) -> float:
        """The value that a share `q` of the observations does not exceed. Needs one at least."""
        ordered = sorted(self._values)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class Pulse:
    """What the chunks of one engine tell. Moments are passed in; nothing is read from a clock."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._first = Recent()
        self._gaps = Recent(_SPACING_S)
        self._whole = Recent()
        self._completed = 0
        self.typical_s = 0.0
        """Median time of a whole call, refreshed every eight calls; 0 before the first of them."""
        self._awaiting = 0
        self._streaming = 0
        self._silent_s = 0.0
        self._since = 0.0

    @property
    def busy(self) -> bool:
        """True while calls are in work."""
        return self._awaiting + self._streaming > 0

    def started(self, now: float) -> None:
        """A call was sent."""
        if not self.busy:
            self._since = now
        self._awaiting += 1

    def first(self, now: float, waited_s: float) -> None:
        """A call's first chunk came."""
        self._first.add(now, waited_s)
        self._awaiting -= 1
        self._streaming += 1
        self._silent_s, self._since = 0.0, now

    def next(self, now: float, gap_s: float) -> None:
        """A further chunk of a call came."""
        self._gaps.add(now, gap_s)
        self._silent_s, self._since = 0.0, now

    def completed(self, now: float, took_s: float) -> None:
        """A call came to its proper end (`ended` is told as well)."""
        self._whole.add(now, took_s)
        self._completed += 1
        if self._completed % _REFRESH == 0:
            self.typical_s = self._whole.quantile(0.5)

    def cut(self, now: float, after_s: float) -> None:
        """A call was cut off by its deadline: it would have taken longer, by an unknown time.

        Counted as twice as long. Under overload there may be no other observation: estimates then
        double until calls come to their end, which brings them down to the truth.
        """
        self.completed(now, 2 * after_s)

    def ended(self, now: float, *, had_chunk: bool) -> None:
        """A call is over, whatever its end."""
        if had_chunk:
            self._streaming -= 1
        else:
            self._awaiting -= 1
        if not self.busy:
            self._silent_s += now - self._since

    def forgive(self, now: float) -> None:
        """Start counting the silence anew: the engine has just proved itself."""
        self._silent_s, self._since = 0.0, now

    def silence_s(self, now: float) -> float:
        """Busy seconds since the last chunk of any call."""
        return self._silent_s + (now - self._since if self.busy else 0.0)

    def hung(self, now: float) -> bool:
        """True when calls are in work and the silence has lasted beyond patience."""
        return self.busy and self.silence_s(now) > self.limit_s

    @property
    def limit_s(self) -> float:
        """The silence that is borne, given what the calls in work are waiting for."""
        limits = [self.first_chunk_limit_s] if self._awaiting or not self._streaming else []
        if self._streaming:
            limits.append(self._limit(self._gaps))
        return max(limits)

    @property
    def first_chunk_limit_s(self) -> float:
        """The wait for a first chunk that is borne."""
        return self._limit(self._first)

    def _limit(self, seen: Recent) -> float:
        patience = self._patience
        if len(seen) < patience.observations:
            return patience.first_token_grace_s
        return max(patience.least_s, patience.factor * seen.quantile(0.99))
