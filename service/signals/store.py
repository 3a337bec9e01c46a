"""The signal store on Redis: a user's signals and kept lists. The contract is docs/signals.md."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from service.errors import InvalidInput, SignalsUnavailable
from service.records import Appended, KeptList, Signal, UserState
from service.redis.calls import Calls, all_of
from service.redis.client import RedisClient
from service.redis.faults import fault_of
from service.redis.rights import missing_rights
from service.redis.running import Arg
from service.signals import checks, scripts
from service.signals.codec import MEMBER_BYTES, encode, encode_list
from service.signals.keys import UserKeys, own_keys, user_keys
from service.signals.states import States
from service.signals.times import validate_times

_DAY_S = 86_400
_MOST_LISTS = 64
"""Fields of a hash of kept lists beyond which it is not ours: we keep a handful."""


def now_ms() -> int:
    """Wall-clock time, in ms since the epoch."""
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept of a user, and how long."""

    signals: int = 200
    signals_s: int = 90 * _DAY_S
    """Seconds that a user's signals outlive the newest write."""
    lists: int = 4
    lists_s: int = 7 * _DAY_S
    """Seconds that kept lists outlive the newest of them."""
    tombstone_s: int = 365 * _DAY_S
    """Seconds that exports and trainings can see that a user was deleted."""
    changes: int = 100_000
    """Entries of each stream of changes, about."""
    changes_s: int = 7 * _DAY_S


class RedisSignalStore:
    """`SignalStore` over a Redis server or cluster.

    At most `calls` commands are under way at once; more wait, each until its own deadline. Every
    failure of Redis is raised as `SignalsUnavailable`, and each kind of refusal logged once.
    `clock` gives ms since the epoch, `states` are those read lately.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        retention: Retention | None = None,
        calls: int = 64,
        clock: Callable[[], int] = now_ms,
        states: States | None = None,
    ) -> None:
        self._calls = Calls(client, at_once=calls, failure=SignalsUnavailable)
        self._retention = retention or Retention()
        self._clock = clock
        self._states = states or States()

    async def get(self, user_id: str, until: float) -> UserState:
        """Newest signals and kept lists in one round trip; entries nobody can read are counted.

        A key of a wrong type counts as one such entry, and so does a hash of lists with far more
        fields than we write. Signals and lists that are not newer than the user's deletion are not
        shown, whoever wrote them. While a cluster moves the user's slot it is three round trips.
        """
        keys = user_keys(user_id)
        names = [keys.signals, keys.lists, keys.tombstone]
        limits = [self._retention.signals, _MOST_LISTS]
        try:
            return self._states.read(*await self._calls.once(scripts.GET, names, limits, until))
        except SignalsUnavailable as error:
            if not error.moving:
                raise
            # The tombstone last: it stands for a deletion in between, too.
            singly = (scripts.GET_SIGNALS, scripts.GET_LISTS, scripts.GET_TOMBSTONE)
            parts = [
                await self._calls.once(script, [name], limits, until)
                for script, name in zip(singly, names, strict=True)
            ]
        (signals, lists, tombstone), wrong, read_at = (
            [part[place] for place, part in enumerate(parts)],
            sum(part[3] for part in parts),
            # Of two nodes' clocks the one behind, so that a deletion is never missed.
            min(part[4] for part in parts),
        )
        return self._states.read(signals, lists, tombstone, wrong, read_at)

    async def append(self, user_id: str, signals: Sequence[Signal], until: float) -> Appended:
        """Store signals, then tell the refreshers. Returns what became of them.

        Two round trips, both acknowledged; doing it again does no harm. The first event with an id
        wins; one that is not newer than the user's deletion, or older than all that is kept, is
        not stored. Raises `InvalidInput` naming `signals[i]` before anything is written.
        """
        return await self.append_many({user_id: signals}, until)

    async def append_many(self, batch: Mapping[str, Sequence[Signal]], until: float) -> Appended:
        """`append` for many users at once: for loading. Nothing is written if one is invalid."""
        now = self._clock()
        writes: list[tuple[UserKeys, list[Arg]]] = []
        changes: defaultdict[str, list[Arg]] = defaultdict(list)
        for user_id, signals in batch.items():
            if not signals:
                continue
            keys = user_keys(user_id)
            validate_times(signals, now)
            args: list[Arg] = [self._retention.signals, self._retention.signals_s]
            for index, signal in enumerate(signals):
                args += (signal.at_ms, encode(signal, index))
            writes.append((keys, args))
            changes[keys.changes] += (keys.user, max(signal.at_ms for signal in signals))
        counts: list[tuple[int, int]] = await all_of(
            self._calls.run(scripts.APPEND, [keys.signals, keys.tombstone], args, until)
            for keys, args in writes
        )
        # Also when nothing was new: the write before this retry may have got no further than here.
        limits = [self._retention.changes, self._retention.changes_s]
        await all_of(
            self._calls.run(scripts.ANNOUNCE, [stream], [*limits, *entries], until)
            for stream, entries in changes.items()
        )
        stored, repeated = (
            (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
        )
        given = sum(map(len, batch.values()))
        return Appended(stored, repeated, dropped=given - stored - repeated)

    async def keep(self, user_id: str, kept: KeptList, until: float) -> None:
        """Keep a list; beyond four the oldest gives way.

        `kept.made_at_ms` must be the moment the user's state was read, `UserState.read_at_ms`, not
        the one the list was ready: a list begun before the user's deletion is refused, silently, as
        is one older than the list it would replace.
        """
        keys = user_keys(user_id)
        limits = (self._retention.lists, self._retention.lists_s, _MOST_LISTS)
        args: list[Arg] = [kept.student, encode_list(kept), kept.made_at_ms, *limits]
        await self._calls.run(scripts.KEEP, [keys.lists, keys.tombstone], args, until)

    async def delete(self, user_id: str, until: float) -> bool:
        """Remove the user's keys, of whatever type, and leave a tombstone with the time."""
        keys = user_keys(user_id)
        names = [keys.signals, keys.lists, keys.tombstone]
        return bool(
            await self._calls.run(scripts.DELETE, names, [self._retention.tombstone_s], until)
        )

    async def deleted_at(self, user_ids: Collection[str], until: float) -> dict[str, int]:
        """When each of these users was deleted, in ms since 1970; those who were not are left out.

        So are ids that no user can have.
        """
        names: dict[str, str] = {}
        for user_id in user_ids:
            with suppress(InvalidInput):
                names[user_id] = user_keys(user_id).tombstone
        client = self._calls.client
        found = await self._calls.within(until, lambda: client.get_many(list(names.values())))
        return {
            user_id: int(value)
            for user_id, value in zip(names, found, strict=True)
            if value is not None and value.isdigit()
        }

    async def check(self, until: float) -> None:
        """Do on every server that holds users what requests do, with keys that belong to no user.

        Returns if all of it works. A right that is missing is named in the error.
        """
        found = await self._own_keys(until)
        await all_of(self._check(keys, until) for keys in found)

    async def evicts(self, until: float) -> str:
        """The policy by which Redis, once it is full, removes keys of ours; empty if it does not.

        Raises `SignalsUnavailable` where its user may not ask for it (`+info`).
        """
        for keys in await self._own_keys(until):
            memory = await self._calls.command(until, keys.signals, "INFO", "memory")
            policy = str(memory.get("maxmemory_policy", "noeviction"))
            if policy != "noeviction" and memory.get("maxmemory"):
                return policy
        return ""

    async def packs(self, until: float) -> bool:
        """Whether Redis keeps users packed, in half the memory: its own limits decide.

        Raises `SignalsUnavailable` where its user may not ask for it (`+object`).
        """
        limits = [self._retention.signals, MEMBER_BYTES]
        kept = [
            await self._calls.once(scripts.PACKED, [keys.signals], limits, until)
            for keys in await self._own_keys(until)
        ]
        return b"skiplist" not in kept

    async def close(self) -> None:
        """Close all connections."""
        await self._calls.client.aclose()

    async def _check(self, keys: UserKeys, until: float) -> None:
        try:
            for script, names, args in checks.trial(keys, now_ms()):
                await self._calls.once(script, names, args, until)
        except SignalsUnavailable as error:
            if error.moving:
                return  # it is one slot of many, and its users are read all the same
            if error.__cause__ is None or fault_of(error.__cause__).kind != "NOPERM":
                raise
            client = self._calls.client
            missing = await self._calls.within(
                until, lambda: missing_rights(client, keys.signals, checks.commands(keys))
            )
            raise SignalsUnavailable(
                f"Redis failed: NOPERM: its user lacks {' '.join(missing) or error}",
                remedy=error.remedy,
            ) from error

    async def _own_keys(self, until: float) -> list[UserKeys]:
        """Keys that belong to no user, of each server that holds users."""
        return [
            own_keys(tag) for tag in await self._calls.within(until, self._calls.client.own_tags)
        ]
