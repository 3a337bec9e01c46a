"""What was done to experiments by hand: paused, resumed, ramped, stopped, whatever the file says.

Of each experiment the newest action is kept, with what still stands of those before it: a pause
leaves the ramp, so that going on is going on as before. All here is pure; the overlay is kept in
Redis by `overlay_redis`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from service.dates import iso
from service.errors import InterestsError, InvalidInput
from service.experiments.definitions import Experiment, Experiments, Status, percent
from service.experiments.hashing import POINTS

WATCHER = "watcher"
"""Who acts where no person does; no person may go by this name."""
LONGEST_WHY = 500
LONGEST_BY = 64
_VERSION = 1


class Act(StrEnum):
    """What is done to an experiment."""

    PAUSE = "pause"
    """Nobody is enrolled until it is resumed."""
    RESUME = "resume"
    RAMP = "ramp"
    """Another `traffic` than the file's."""
    STOP = "stop"
    """Nobody is enrolled ever again under this key."""


_DONE = {Act.PAUSE: "paused", Act.RESUME: "resumed", Act.RAMP: "ramped", Act.STOP: "stopped"}


@dataclass(frozen=True, slots=True)
class Action:
    """The newest action on an experiment."""

    act: Act
    by: str
    why: str
    at_ms: int
    traffic: int | None = None
    """Points that stand in place of the file's `traffic`; None: the file's."""
    revision: int = 1
    """One more with each action on the same experiment."""

    @property
    def effect(self) -> Act | None:
        """What stands now: a pause, a stop or a ramp; None where the file alone decides."""
        if self.act in (Act.PAUSE, Act.STOP):
            return self.act
        return None if self.traffic is None else Act.RAMP

    def told(self) -> str:
        """In words, for people."""
        share = "the file's traffic" if self.traffic is None else percent(self.traffic)
        done = _DONE[self.act]
        if self.act is Act.RAMP:
            done += f" to {share}"
        elif self.traffic is not None and self.act is not Act.STOP:
            done += f" at {share}"
        return f"{done} by {self.by}, {iso(self.at_ms)}: {self.why}"


@dataclass(frozen=True, slots=True)
class Overlay:
    """All that was done by hand, by the experiment's key."""

    actions: Mapping[str, Action] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    """Keys of which nobody can read what was done; for these the file alone decides."""


class OverlayConflict(InterestsError):
    """Somebody else was faster; `held` is what they did, None where that cannot be read."""

    def __init__(self, key: str, held: Action | None) -> None:
        said = held.told() if held else "something was done that cannot be read"
        super().__init__(
            f"{key}: somebody else was faster ({said}): nothing was changed; look, and do it again"
        )
        self.held = held


def apply(experiments: Experiments, overlay: Overlay) -> Experiments:
    """The file's experiments as they are in effect. Keys that the file lacks change nothing.

    An arm depends on nothing that an overlay changes, so no enrolled user gets another one.
    """
    if not overlay.actions:
        return experiments
    layers = (
        replace(
            layer,
            experiments=tuple(
                _acted(one, overlay.actions.get(one.key)) for one in layer.experiments
            ),
        )
        for layer in experiments.layers
    )
    return replace(experiments, layers=tuple(layers))


def _acted(one: Experiment, action: Action | None) -> Experiment:
    if action is None or one.status is Status.STOPPED:
        return one
    status = {Act.PAUSE: Status.PAUSED, Act.STOP: Status.STOPPED}.get(action.act, one.status)
    traffic = one.traffic if action.traffic is None else action.traffic
    return replace(one, status=status, traffic=traffic)


def strangers(experiments: Experiments, overlay: Overlay) -> list[str]:
    """Keys of the overlay that the file does not have."""
    return sorted(overlay.actions.keys() - experiments.by_key().keys())


def standing(experiments: Experiments, overlay: Overlay) -> Iterator[tuple[str, Action]]:
    """The file's experiments for which something done by hand stands, in the file's order."""
    for key in experiments.by_key():
        if (action := overlay.actions.get(key)) is not None and action.effect is not None:
            yield key, action


def next_action(before: Action | None, asked: Action, key: str) -> Action:
    """`asked` as it follows what was done before. Raises `InvalidInput` where it cannot.

    `asked.traffic` is that of a ramp, or of a resume that is to begin with another one.
    """
    _check_words(asked)
    if before is not None and before.act is Act.STOP:
        raise InvalidInput(f"was {before.told()}. {_STOPPED}", field=key)
    paused = before is not None and before.act is Act.PAUSE
    if before is not None and paused and asked.act is Act.PAUSE:
        raise InvalidInput(f"is paused already, {before.told()}", field=key)
    if before is not None and paused and asked.act is Act.RAMP:
        raise InvalidInput(f"was {before.told()}. {_PAUSED}", field=key)
    if asked.act is Act.RESUME and not paused:
        raise InvalidInput(
            "is not paused by hand: what the file pauses, the file resumes", field=key
        )
    kept = before.traffic if before is not None else None
    traffic = asked.traffic
    if asked.act is not Act.RAMP and traffic is None:
        traffic = kept
    return replace(asked, traffic=traffic, revision=before.revision + 1 if before else 1)


_STOPPED = "A stop is final for a key: begin another experiment under a new one"
_PAUSED = "Resume it, with --traffic where it is to go on with another share"


def _check_words(asked: Action) -> None:
    for name, said, longest in (("--why", asked.why, LONGEST_WHY), ("--by", asked.by, LONGEST_BY)):
        if not said.strip():
            raise InvalidInput("say it in a few words", field=name)
        if len(said) > longest or not said.isprintable():
            raise InvalidInput(f"write one line of at most {longest} characters", field=name)


def encode(action: Action) -> str:
    """An action as Redis keeps it."""
    fields = {
        "v": _VERSION,
        "revision": action.revision,
        "action": action.act,
        "traffic": action.traffic,
        "by": action.by,
        "why": action.why,
        "at": action.at_ms,
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def decode(held: bytes) -> Action:
    """An action as Redis kept it. Raises `ValueError` for what is none, or of a later version."""
    found: Any = json.loads(held)
    if not isinstance(found, dict) or found.get("v") != _VERSION:
        raise ValueError("is of another version")
    traffic = found.get("traffic")
    numbers = [found.get("revision"), found.get("at"), *([] if traffic is None else [traffic])]
    words = [found.get("by"), found.get("why"), found.get("action")]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError("has no such numbers")
    if not all(isinstance(word, str) and word.isprintable() for word in words):
        raise ValueError("has no such words")
    if (traffic or 0) > POINTS:
        raise ValueError("has more traffic than there is")
    return Action(
        act=Act(found["action"]),
        by=found["by"],
        why=found["why"],
        at_ms=found["at"],
        traffic=traffic,
        revision=found["revision"],
    )
