"""What Redis refuses, by its kind: what that means, what to do about it, and one line in the log.

Redis says the kind in the first word of a reply. Within a script Redis 6.2 puts it somewhere in
the text of an `ERR`, Redis 7 at the start again.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

log = logging.getLogger(__name__)
# A command says itself what failed: without a handler of its own Python would say it, too.
log.addHandler(logging.NullHandler())

_QUIET_S = 60.0
"""A kind that was not met for so long is over."""

_PRIMARY = "let INTERESTS_REDIS_URL lead to the primary"
_RIGHTS = "give the rights that docs/signals.md lists under Connections"
_KNOWN = {
    "READONLY": ("it is a replica and takes no writes", _PRIMARY),
    "MASTERDOWN": ("it is a replica that lost its primary, and answers nothing", _PRIMARY),
    "LOADING": ("it is still reading its data from disk", "wait until it has"),
    "CLUSTERDOWN": (
        "no node of the cluster serves the user's slot",
        "look at CLUSTER INFO and CLUSTER NODES, and start the node that is missing",
    ),
    "TRYAGAIN": (
        "the user's slot is on its way to another node of the cluster",
        "let the move end; redis-cli --cluster fix ends one that was broken off",
    ),
    "BUSY": ("a script has been running there for too long", "end it: redis-cli SCRIPT KILL"),
    "OOM": (
        "it is full",
        "raise its maxmemory, or lower INTERESTS_SIGNALS_TTL_DAYS or INTERESTS_EVENTS_KEPT",
    ),
    "MISCONF": ("it cannot save to its disk and takes no writes", "look at its log and its disk"),
    "NOREPLICAS": (
        "it has fewer replicas than min-replicas-to-write and takes no writes",
        "start its replicas",
    ),
    "NOPERM": ("its user lacks a right", _RIGHTS),
    "NOAUTH": ("it wants a password", "set INTERESTS_REDIS_PASSWORD"),
    "WRONGPASS": (
        "it refuses the user's name or password",
        "set INTERESTS_REDIS_USERNAME and INTERESTS_REDIS_PASSWORD, which are read at the start",
    ),
    "MAXCLIENTS": (
        "it takes no more connections",
        "raise its maxclients, or lower INTERESTS_REDIS_POOL",
    ),
    "WRONGTYPE": (
        "a key of the user's is of another type",
        "`interests users delete USER` removes it",
    ),
    "NOCLUSTER": (
        "it is no cluster, or its user lacks +cluster|slots",
        "write redis:// for a single server; " + _RIGHTS,
    ),
    "UNREACHABLE": (
        "",
        "start Redis, or set INTERESTS_REDIS_URL (and INTERESTS_REDIS_PASSWORD)",
    ),
    "ERR": ("", "look at Redis's own log"),
}
_CLASSES: tuple[tuple[type[Exception], str], ...] = (
    (MasterDownError, "MASTERDOWN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (SlotNotCoveredError, "CLUSTERDOWN"),
    (BusyLoadingError, "LOADING"),
    (NoPermissionError, "NOPERM"),
    (OutOfMemoryError, "OOM"),
    (ReadOnlyError, "READONLY"),
    (TryAgainError, "TRYAGAIN"),
)
_TEXTS = (
    # A login by name and one without speak differently of a password that is missing.
    (re.compile(r"HELLO must be called|Authentication required|without any password"), "NOAUTH"),
    (re.compile(r"invalid username-password|invalid password|WRONGPASS"), "WRONGPASS"),
    (re.compile(r"max number of clients"), "MAXCLIENTS"),
    (re.compile(r"executing the script can't|ACL failure in script"), "NOPERM"),
    (re.compile(r"Cluster mode is not enabled|cluster support disabled"), "NOCLUSTER"),
)
_WORD = re.compile(
    r"(?:^|[\s-])(READONLY|MASTERDOWN|LOADING|CLUSTERDOWN|BUSY|OOM|MISCONF|NOREPLICAS|NOPERM"
    r"|NOAUTH|WRONGTYPE)(?=\s)"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A refusal: its kind, in capitals, what it says, and what to do about it."""

    kind: str
    says: str
    remedy: str


def fault_of(error: BaseException) -> Fault:
    """What redis-py raised, by its kind; `ERR` is what we know nothing of."""
    kind = _kind(error)
    meaning, remedy = _KNOWN[kind]
    said = str(error) or type(error).__name__
    if not meaning:
        return Fault(kind, f"Redis failed: {said}", remedy)
    # Of a right that is missing Redis's own words tell which, at times.
    more = f" ({said})" if kind == "NOPERM" else ""
    return Fault(kind, f"Redis failed: {kind}: {meaning}{more}", remedy)


def is_replica(error: BaseException) -> bool:
    """Whether the server is, or has become, another's replica: the primary is elsewhere."""
    return _kind(error) in ("READONLY", "MASTERDOWN")


def _kind(error: BaseException) -> str:
    for known, kind in _CLASSES:
        if isinstance(error, known):
            return kind
    text = str(error)
    for pattern, kind in _TEXTS:
        if pattern.search(text):
            return kind
    if word := _WORD.search(text):
        return word[1]
    if isinstance(error, AuthenticationError):
        return "WRONGPASS"
    unreachable = (RedisConnectionError, RedisClusterException, OSError)
    return "UNREACHABLE" if isinstance(error, unreachable) else "ERR"


class FaultLog:
    """Says each kind of refusal in the log when it begins, and once it has not come for a minute.

    Not every success ends it: on a read-only server every read succeeds between failing writes.
    `clock` gives seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}

    def failed(self, fault: Fault) -> None:
        """A call was refused."""
        if fault.kind not in self._last:
            log.warning("%s → %s", fault.says, fault.remedy)
        self._last[fault.kind] = self._clock()

    def worked(self) -> None:
        """A call came through."""
        if self._last:
            now = self._clock()
            for kind in [kind for kind, at in self._last.items() if now - at >= _QUIET_S]:
                del self._last[kind]
                log.info("Redis works again: no %s for a minute", kind)
