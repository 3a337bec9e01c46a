"""Events in Redis: feedback goes in, and what is of a deleted user goes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from service.events.feedback import Taken
from service.events.streams import (
    ERASE,
    PARTITIONS,
    TAKE,
    EventLimits,
    partition_of,
    seen_key,
    stream_key,
    trail_key,
)
from service.redis.calls import Calls, all_of
from service.redis.running import Arg


class Events:
    """The streams of all processes. Every method raises `EventsUnavailable`."""

    def __init__(self, calls: Calls, limits: EventLimits) -> None:
        self._calls = calls
        self._limits = limits

    @property
    def on(self) -> bool:
        """Whether events are kept at all."""
        return self._limits.kept > 0

    async def take(self, events: Sequence[Taken], until: float) -> list[bool]:
        """Store feedback; says of each event whether it is new. Acknowledged when it returns.

        Doing it again does no harm: an event that was taken before is not stored twice, also where
        an error came back and a part had been stored.
        """
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, event in enumerate(events):
            places[partition_of(event.request.process)].append(place)
        answers = await all_of(
            self._take(partition, [events[place] for place in of], until)
            for partition, of in places.items()
        )
        new = [False] * len(events)
        for of, answer in zip(places.values(), answers, strict=True):
            for place, is_new in zip(of, answer, strict=True):
                new[place] = bool(is_new)
        return new

    async def _take(self, partition: int, events: Sequence[Taken], until: float) -> list[int]:
        keys = {stream_key(partition): 1}
        args: list[Arg] = [self._limits.kept, self._limits.seconds]
        for one in events:
            seen = seen_key(partition, one.request.at_s)
            trail = trail_key(partition, one.event.user_id)
            places = [keys.setdefault(key, len(keys) + 1) for key in (seen, trail)]
            args += (places[0], one.digest(), one.data(), places[1])
        found: list[int] = await self._calls.run(TAKE, list(keys), args, until)
        return found

    async def erase(self, user_id: str, until: float) -> int:
        """Remove a user's events from all streams. Returns how many there were."""
        removed = await all_of(
            self._calls.run(ERASE, [stream_key(number), trail_key(number, user_id)], [], until)
            for number in range(PARTITIONS)
        )
        return sum(removed)
