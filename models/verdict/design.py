"""What an experiment was meant to be: which arm is the control, and which shares were planned."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from service.errors import InvalidInput
from service.experiments.definitions import HOLDOUT, Experiment
from service.experiments.file import read_experiments

CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Design:
    """The arms as they are compared."""

    control: str
    others: tuple[str, ...]
    shares: dict[str, float]
    """Planned shares of the users; empty: they cannot be checked, and `note` says why."""
    note: str
    """What the reader should know of the control and the shares; may be empty."""


def planned(file: Path, key: str) -> Experiment:
    """The experiment of that key.

    Raises `RefusedFile`, and `InvalidInput` for an unknown key or a shadow.
    """
    found = read_experiments(file, None).experiments.by_key()
    if key not in found:
        keys = ", ".join(sorted(found)) or "none"
        raise InvalidInput(f"{file} has no experiment {key}; its experiments are: {keys}")
    experiment = found[key][1]
    if experiment.is_shadow:
        raise InvalidInput(
            f"{key} is a shadow: no reader saw anything of it, so there is no verdict; what its "
            "arms found is in the files `shadows` of the export, beside what was served",
            field="KEY",
        )
    return experiment


def design(key: str, seen: Collection[str], experiment: Experiment | None = None) -> Design:
    """How the arms that were seen are compared.

    Without the experiment's definition the control is the arm of that name, else the holdout, else
    the first by name, and equal shares are assumed. Raises `InvalidInput` where there are not two
    arms, or where the events have an arm that the definition does not know.
    """
    arms = sorted(seen)
    if not arms:
        raise InvalidInput(f"{key}: no user is left to be compared", field="--events")
    if len(arms) == 1:
        raise InvalidInput(
            f"{key} has one arm in these events, {arms[0]}: there is nothing to compare it with. "
            "Users who are not enrolled leave no trace of it; a rollout is compared with its "
            "holdout, so give it one",
            field="--events",
        )
    if experiment is None:
        return _guessed(arms)
    names = [arm.name for arm in experiment.arms]
    if unknown := [arm for arm in arms if arm not in (*names, HOLDOUT)]:
        raise InvalidInput(
            f"{key}: the events have the arm {unknown[0]}, the file has {', '.join(names)}: give "
            "the file that was in use",
            field="--experiments",
        )
    if experiment.kind == "rollout":
        note = "How many users are in the holdout beside the arm depends on the steps of `traffic`."
        return Design(HOLDOUT, tuple(names), {}, note)
    control = names[0]
    if control not in arms:
        raise InvalidInput(
            f"{key}: no user of these events is in the control, {control}", field="--events"
        )
    shares = {arm.name: float(arm.split) for arm in experiment.arms}
    return Design(control, tuple(arm for arm in (*names, HOLDOUT) if arm in seen)[1:], shares, "")


def _guessed(arms: list[str]) -> Design:
    control = next((arm for arm in (CONTROL, HOLDOUT) if arm in arms), arms[0])
    others = tuple(arm for arm in arms if arm != control)
    split = [arm for arm in arms if arm != HOLDOUT]
    if len(split) < 2:
        note = "How many users are in the holdout beside the arm depends on the steps of `traffic`."
        return Design(control, others, {}, note)
    note = (
        f"No file of experiments was given: {control} is taken for the control, and equal shares "
        "are taken for the planned ones."
    )
    return Design(control, others, dict.fromkeys(split, 1.0), note)
