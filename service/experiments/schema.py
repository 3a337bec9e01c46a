"""An experiments file as it is written: the shapes of its fields."""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainValidator,
    StringConstraints,
)

from service.experiments.definitions import Kind, Status
from service.experiments.hashing import POINTS

_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?\s?%")


def points(value: Any) -> int:
    """Points of a share such as `12.5%`. Its sign is asked for: is 1 one per cent, or all?"""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    points = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else POINTS + 1
    if points > POINTS:
        raise ValueError("write a share from 0% to 100% with its sign, such as 5% or 12.25%")
    return points


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not (isinstance(value, int | float) and isfinite(value)):
        raise ValueError("must be a number")
    return value


Number = Annotated[int | float, PlainValidator(_number)]
Share = Annotated[int, BeforeValidator(points)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""No colon: it stands between the parts of a hashed text, and of what `served` says."""
Bucket = Annotated[int, Field(strict=True, ge=0, lt=POINTS)]


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class RetrievalIn(_Fields):
    """Constants of the retrieval; each is the setting of the same name, with its bounds."""

    hits_per_query: int | None = Field(None, ge=1, le=500, strict=True)
    own_signals: int | None = Field(None, ge=0, le=64, strict=True)
    own_weight: FiniteFloat | None = Field(None, ge=0, le=100)


class SamplingIn(_Fields):
    """Sampling constants of a student; each is that of its manifest, with the bounds there."""

    n: int | None = Field(None, ge=1, le=16, strict=True)
    temperature: FiniteFloat | None = Field(None, ge=0, le=2)
    top_p: FiniteFloat | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=1024, strict=True)
    repetition_penalty: FiniteFloat | None = Field(None, gt=0, le=2)


class ArmIn(_Fields):
    """An arm of an experiment."""

    name: Name
    split: Share = POINTS
    student: str | None = None
    sampling: SamplingIn = SamplingIn()
    fusion: dict[str, Number] = Field(default_factory=dict)
    retrieval: RetrievalIn = RetrievalIn()


class SlowIn(_Fields):
    """A guard against slow answers."""

    ms: int = Field(gt=0, le=600_000, strict=True)
    more: Share


class GuardIn(_Fields):
    """What the watcher may pause an experiment for."""

    sample_ratio: bool = Field(False, strict=True)
    degraded: Share | None = None
    empty: Share | None = None
    slow: SlowIn | None = None


class ExperimentIn(_Fields):
    """An experiment of a layer."""

    key: Name
    kind: Kind
    status: Status
    buckets: tuple[Bucket, Bucket]
    traffic: Share
    arms: list[ArmIn] = Field(min_length=1, max_length=20)
    holdout: Share = 0
    starts: AwareDatetime | None = None
    ends: AwareDatetime | None = None
    allowlist: dict[str, str] = Field(default_factory=dict, max_length=10_000)
    guard: GuardIn | None = None


class LayerIn(_Fields):
    """A layer of the file."""

    name: Name
    salt: Name
    experiments: list[ExperimentIn] = Field(default_factory=list, max_length=200)


class FileIn(_Fields):
    """The whole file."""

    layers: list[LayerIn] = Field(max_length=50)


LISTS: dict[str, type[BaseModel]] = {
    "layers": LayerIn,
    "experiments": ExperimentIn,
    "arms": ArmIn,
    "sampling": SamplingIn,
    "retrieval": RetrievalIn,
    "guard": GuardIn,
    "slow": SlowIn,
}
"""The shape of an entry of the list, or of the fields, below a name."""
