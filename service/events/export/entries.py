"""Entries of the streams, as they are read: checked, and told apart by their kind. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from service.dates import EARLIEST_MS, LATEST_MS
from service.errors import ConfigurationError
from service.events.export.ids import EntryId, entry_id
from service.events.streams import Kind

VERSION = 1

Ms = Annotated[int, Field(ge=EARLIEST_MS, le=LATEST_MS)]
"""Milliseconds since 1970, in the years 1 to 9999."""
Number = Annotated[float, Field(allow_inf_nan=False)] | None
"""None is what JSON has for a number without end."""
Count = Annotated[int, Field(ge=0, lt=2**31)]
Unsigned = Annotated[int, Field(ge=0, lt=2**32)]
User = Annotated[str, Field(min_length=1)]
Placement = tuple[str, str, str, str, str | None]
"""Key, layer, assigned, served, reason."""
Query = tuple[str, Number, Count, Count, str]
"""Text, weight, hits by words, hits by meaning, origin."""
Timings = tuple[Number, Number, Number, Number, Number]
"""Milliseconds for signals, generate, retrieve, fuse, and all together."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """A request that was answered: `x`. Field names are those of the stream's object."""

    v: Literal[1]
    id: str
    at: Ms
    process: Unsigned
    seq: Unsigned
    user: User
    student: str
    places: list[Placement]
    queries_from: str
    candidates_from: str
    degraded: list[str]
    coverage: tuple[Number, Number]
    queries: list[Query]
    ids: list[str]
    scores: list[Number]
    matched: list[list[Count]]
    ms: Timings
    signals: dict[str, Count]

    def fault(self) -> str | None:
        """What its fields do not agree on."""
        if not len(self.ids) == len(self.scores) == len(self.matched):
            return "ids, scores and matched differ in length"
        if any(place >= len(self.queries) for places in self.matched for place in places):
            return "matched: names a query that is not there"
        return None


@dataclass(frozen=True, slots=True)
class Shadow:
    """The same request served by a shadow arm: `s`."""

    v: Literal[1]
    id: str
    at: Ms
    user: User
    key: str
    layer: str
    arm: str
    student: str
    queries_from: str
    candidates_from: str
    degraded: list[str]
    queries: list[Query]
    ids: list[str]
    scores: list[Number]
    ms: Timings

    def fault(self) -> str | None:
        """What its fields do not agree on."""
        return None if len(self.ids) == len(self.scores) else "ids and scores differ in length"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a reader did with an article: `f`."""

    v: Literal[1]
    id: str
    event: str
    user: User
    kind: Literal["impression", "click", "dwell"]
    article: str
    at: Ms
    dwell_ms: Annotated[int, Field(ge=0, lt=2**63)] | None

    def fault(self) -> str | None:
        """Nothing: every field stands for itself."""
        return None


@dataclass(frozen=True, slots=True)
class End:
    """The orderly end of a process: `e`. `seq` is the first number that it did not use."""

    v: Literal[1]
    process: Unsigned
    seq: Unsigned
    at: Ms

    def fault(self) -> str | None:
        """Nothing: every field stands for itself."""
        return None


Object = Exposure | Shadow | Feedback | End


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that could be read. `data` is its object as it stands in the stream."""

    id: EntryId
    data: bytes
    object: Object


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry that nobody can read, and why."""

    id: EntryId
    why: str


_READERS: dict[str, TypeAdapter[Any]] = {
    Kind.EXPOSURE: TypeAdapter(Exposure),
    Kind.SHADOW: TypeAdapter(Shadow),
    Kind.FEEDBACK: TypeAdapter(Feedback),
    Kind.END: TypeAdapter(End),
}


def read_entry(raw: Sequence[Any], stream: str) -> Entry | Unreadable:
    """An entry as Redis gives it: its id, and names and values of its fields in turn.

    Raises `ConfigurationError` for one that a later release wrote: that one can read it, so it must
    not be passed over.
    """
    name = entry_id(raw[0].decode())
    fields = dict(zip(raw[1][::2], raw[1][1::2], strict=True))
    kind, data = fields.get(b"k"), fields.get(b"d")
    if kind is None or data is None:
        return Unreadable(name, f"the field {'k' if kind is None else 'd'} is missing")
    reader = _READERS.get(kind.decode(errors="replace"))
    if reader is None:
        return Unreadable(name, f"k: {kind[:20]!r} is no kind of event")
    try:
        found: Object = reader.validate_json(data, strict=True)
    except ValidationError as error:
        _refuse_later(data, name, stream)
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        return Unreadable(name, f"{where}: {first['msg']}" if where else first["msg"])
    fault = found.fault()
    return Unreadable(name, fault) if fault else Entry(name, data, found)


def read_exposure(data: bytes) -> Exposure | None:
    """The exposure in an entry's `d`; None for what cannot be read."""
    try:
        found: Exposure = _READERS[Kind.EXPOSURE].validate_json(data, strict=True)
    except ValidationError:
        return None
    return None if found.fault() else found


def _refuse_later(data: bytes, name: EntryId, stream: str) -> None:
    try:
        version = orjson.loads(data).get("v")
    except (ValueError, AttributeError):
        return
    if isinstance(version, int) and version > VERSION:
        raise ConfigurationError(
            f"{stream} {name} is of version {version}, and this release reads {VERSION}: export "
            "with the release that the gateways run"
        )
