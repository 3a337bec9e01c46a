"""Events in Redis: feedback goes in, and what is of a deleted user goes out."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from service.errors import EventsUnavailable
from service.events import checks
from service.events.feedback import Outcome, Taken
from service.events.streams import (
    ERASE,
    PARTITIONS,
    TAKE,
    TRIM,
    EventLimits,
    partition_of,
    seen_key,
    stream_key,
    user_keys,
)
from service.redis.calls import Calls, all_of
from service.redis.client import RedisClient
from service.redis.faults import fault_of
from service.redis.rights import missing_rights
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

    async def take(self, events: Sequence[Taken], until: float) -> list[Outcome]:
        """Store feedback, at most some hundreds of events, in one call to Redis for a stream.

        Says what became of each. Acknowledged when it returns.

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
        found = dict[int, Outcome]()
        for of, answer in zip(places.values(), answers, strict=True):
            found.update(zip(of, map(Outcome, answer), strict=True))
        return [found[place] for place in range(len(events))]

    async def _take(self, partition: int, events: Sequence[Taken], until: float) -> list[int]:
        keys = {stream_key(partition): 1}
        args: list[Arg] = [self._limits.kept, self._limits.seconds]
        for one in events:
            seen = keys.setdefault(seen_key(partition, one.request.at_s), len(keys) + 1)
            trail_key, gone_key = user_keys(partition, one.event.user_id)
            trail = keys.setdefault(trail_key, len(keys) + 1)
            keys.setdefault(gone_key, len(keys) + 1)  # the place after: both are new or neither is
            args += (seen, one.digest(), one.data(), 1000 * one.request.at_s, trail)
        found: list[int] = await self._calls.run(TAKE, list(keys), args, until)
        return found

    async def erase(self, user_id: str, until: float) -> int:
        """Remove a user's events from all streams. Returns how many there were.

        What is still on its way from before is not taken any more.
        """
        keys = ((stream_key(number), *user_keys(number, user_id)) for number in range(PARTITIONS))
        limit = [self._limits.seconds]
        return sum(await all_of(self._calls.run(ERASE, names, limit, until) for names in keys))

    async def check(self, until: float) -> None:
        """Do on every server what events need, with keys of no process and of no user.

        Returns if all of it works. A right that is missing is named in the error.
        """
        client = self._calls.client
        for tag in await self._calls.within(until, client.own_tags):
            try:
                for script, keys, args in checks.trial(tag, int(time.time() * 1000)):
                    await self._calls.once(script, keys, args, until)
            except EventsUnavailable as error:
                if error.moving:
                    continue
                if error.__cause__ is None or fault_of(error.__cause__).kind != "NOPERM":
                    raise
                missing = await self._calls.within(until, partial(_missing, client, tag))
                raise EventsUnavailable(
                    f"Redis failed: NOPERM: its user lacks {' '.join(missing) or error}",
                    remedy=error.remedy,
                ) from error

    async def trim(self, until: float) -> None:
        """Remove what has been kept for its time, also from streams that nobody writes to."""
        await all_of(
            self._calls.run(TRIM, [stream_key(number)], [self._limits.seconds], until)
            for number in range(PARTITIONS)
        )


async def _missing(client: RedisClient, tag: str) -> list[str]:
    return await missing_rights(client, stream_key(tag), checks.commands(tag))
