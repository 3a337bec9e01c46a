"""What `GET /v1/experiments` answers: the experiments in use, without the users of allowlists."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from service.api.serving import Shown
from service.dates import iso
from service.experiments.definitions import Arm, Experiment, Kind, Status
from service.experiments.hashing import POINTS
from service.experiments.live import LiveExperiments
from service.experiments.overlay import Act, Action, standing


class ArmOut(Shown):
    """An arm and what it sets; what it does not set is as without experiments."""

    name: str
    split: float = Field(description="Share of the enrolled, 0 to 1.")
    student: str | None = Field(description="`name@version`, or `heuristic`.")
    fusion: dict[str, float]
    retrieval: dict[str, float]
    sampling: dict[str, float]


class OverlayOut(Shown):
    """What was done by hand and stands: the newest action."""

    action: Act
    traffic: float | None = Field(description="0 to 1, in place of the file's; null: the file's.")
    by: str
    why: str
    at: str | None


class RunningExperimentOut(Shown):
    """An experiment of the file, as it is in effect: with what was done by hand."""

    key: str
    layer: str
    kind: Kind
    status: Status
    running: bool = Field(description="Whether anybody may be enrolled at this moment.")
    starts: str | None
    ends: str | None
    buckets: list[int] = Field(description="First and last of its layer's 10,000.")
    traffic: float = Field(description="Share of its users who are enrolled, 0 to 1.")
    holdout: float = Field(description="Share of its users who are kept out for good, 0 to 1.")
    arms: list[ArmOut]
    overlay: OverlayOut | None = Field(description="Null: it is as the file says.")


class ExperimentsOut(Shown):
    """The experiments in use."""

    written: str | None = Field(
        description="When the file in use was written; null: there is none."
    )
    file_ok: bool = Field(description="False while the file holds what cannot be used.")
    overlay_ok: bool = Field(
        description="False while what was done by hand cannot be read: what is known of it stands."
    )
    experiments: list[RunningExperimentOut]


def from_live(live: LiveExperiments, now_ms: int) -> dict[str, Any]:
    """The experiments in use at this moment, as `ExperimentsOut`'s JSON object."""
    experiments = live.experiments
    by_hand = dict(standing(experiments, live.overlay))
    return {
        "written": iso(experiments.written_ms) if experiments.written_ms else None,
        "file_ok": live.ok,
        "overlay_ok": live.overlay_ok,
        "experiments": [
            _experiment(layer.name, one, now_ms, by_hand.get(one.key))
            for layer in experiments.layers
            for one in layer.experiments
        ],
    }


def _experiment(layer: str, one: Experiment, now_ms: int, action: Action | None) -> dict[str, Any]:
    return {
        "key": one.key,
        "layer": layer,
        "kind": one.kind,
        "status": one.status,
        "running": one.runs(now_ms),
        "starts": None if one.starts_ms is None else iso(one.starts_ms),
        "ends": None if one.ends_ms is None else iso(one.ends_ms),
        "buckets": list(one.buckets),
        "traffic": one.traffic / POINTS,
        "holdout": one.holdout / POINTS,
        "arms": [_arm(arm) for arm in one.arms],
        "overlay": None if action is None else _overlay(action),
    }


def _overlay(action: Action) -> dict[str, Any]:
    return {
        "action": action.act,
        "traffic": None if action.traffic is None else action.traffic / POINTS,
        "by": action.by,
        "why": action.why,
        "at": iso(action.at_ms),
    }


def _arm(arm: Arm) -> dict[str, Any]:
    return {
        "name": arm.name,
        "split": arm.split / POINTS,
        "student": arm.student,
        "fusion": arm.fusion,
        "retrieval": arm.retrieval,
        "sampling": arm.sampling,
    }
