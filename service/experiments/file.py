"""An experiments file read and checked: every fault in a line with file, line, field and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path

from pydantic import ValidationError

from service.errors import ConfigurationError
from service.experiments.definitions import (
    HOLDOUT,
    Arm,
    Change,
    Experiment,
    Experiments,
    Fault,
    Guard,
    Keys,
    Layer,
    is_of_lists,
)
from service.experiments.hashing import POINTS
from service.experiments.schema import LISTS, ArmIn, ExperimentIn, FileIn, GuardIn, LayerIn
from service.experiments.servable import Servable, unservable
from service.yaml_files import YamlFile, faults, read_fields


class RefusedFile(ConfigurationError):
    """An experiments file that cannot be used; `faults` has all that is wrong, a line each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(faults[0] + more)


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """What a file says, and where; two that say the same are equal."""

    experiments: Experiments
    source: YamlFile | None = field(default=None, compare=False)
    """None: there is no file."""

    def line(self, keys: Keys, told: str) -> str:
        """A fault as it is shown."""
        return self.source.line(keys, told) if self.source else told


def read_experiments(path: Path, servable: Servable | None) -> CheckedFile:
    """Read and check a file, but for what arms ask for where that is unknown (None).

    Raises `RefusedFile`.
    """
    try:
        file = read_fields(path, "file of experiments")
        written_ms = path.stat().st_mtime_ns // 1_000_000
    except ConfigurationError as error:
        raise RefusedFile([str(error)]) from error
    except OSError as error:
        raise RefusedFile([f"{path}: cannot be read: {error.strerror}"]) from error
    try:
        given = FileIn.model_validate(file.fields)
    except ValidationError as error:
        raise RefusedFile(_told(file, error)) from error
    found = Experiments(tuple(map(_layer, given.layers)), written_ms)
    wrong = [
        *_repeated(given),
        *_apart(found),
        *(fault for place, one in _experiments(given) for fault in _experiment(place, one)),
        *(unservable(found, servable) if servable is not None else ()),
    ]
    if wrong:
        raise RefusedFile([file.line(keys, told) for keys, told in wrong])
    return CheckedFile(found, file)


def _told(file: YamlFile, error: ValidationError) -> list[str]:
    """The faults of the fields' shapes; a misspelt name with the one that is meant."""
    lines = faults(file, error, "file of experiments")
    for number, one in enumerate(error.errors(include_url=False, include_input=False)):
        if one["type"] != "extra_forbidden":
            continue
        *around, name = one["loc"]
        names = [part for part in around if isinstance(part, str)]
        model = LISTS[names[-1]] if names else FileIn
        fields = ", ".join(model.model_fields)
        alike = get_close_matches(str(name), model.model_fields, n=1)
        meant = f"did you mean {alike[0]}?" if alike else f"the fields here are: {fields}"
        lines[number] = file.line(one["loc"], f"no such field; {meant}")
    return lines


def _experiments(given: FileIn) -> Iterator[tuple[Keys, ExperimentIn]]:
    for number, layer in enumerate(given.layers):
        for index, one in enumerate(layer.experiments):
            yield ("layers", number, "experiments", index), one


def _repeated(given: FileIn) -> Iterator[Fault]:
    """Names, salts and keys that stand in the file twice."""
    seen: set[tuple[str, str]] = set()
    named: list[tuple[Keys, str, str]] = []
    for number, layer in enumerate(given.layers):
        named += [(("layers", number, of), of, getattr(layer, of)) for of in ("name", "salt")]
    named += [((*place, "key"), "key", one.key) for place, one in _experiments(given)]
    for keys, of, value in named:
        if (of, value) in seen:
            yield keys, f"{value} is there twice: give each its own"
        seen.add((of, value))


def _experiment(place: Keys, one: ExperimentIn) -> Iterator[Fault]:
    """What is wrong with an experiment by itself."""
    first, last = one.buckets
    if first > last:
        yield (*place, "buckets"), f"goes from {first} to {last}: write the lower bucket first"
    if one.starts and one.ends and one.starts >= one.ends:
        yield (*place, "ends"), "must be later than starts"
    names = [arm.name for arm in one.arms]
    for number, name in enumerate(names):
        if name == HOLDOUT:
            keys = (*place, "arms", number, "name")
            yield keys, f"{HOLDOUT} names those who are kept out: choose another name"
        if name in names[:number]:
            yield (*place, "arms", number, "name"), f"{name} is there twice: give each its own"
    if one.kind == "rollout" and len(one.arms) != 1:
        yield (*place, "arms"), "a rollout has one arm: take the others out, or make its kind ab"
    if one.kind == "ab" and len(one.arms) < 2:
        yield (*place, "arms"), "an ab has two arms or more: add one, or make its kind rollout"
    elif (whole := sum(arm.split for arm in one.arms)) != POINTS:
        yield (*place, "arms"), f"the splits add up to {whole / 100:g}%: make it 100%"
    for number, arm in enumerate(one.arms):
        if not arm.split:
            yield (*place, "arms", number, "split"), "must be more than 0%, or leave the arm out"
    if one.guard is not None:
        yield from _guard((*place, "guard"), one, one.guard)
    for user_id, arm_name in one.allowlist.items():
        if arm_name not in names:
            told = f"no arm is called {arm_name}; the arms are: {', '.join(names)}"
            yield (*place, "allowlist", user_id), told


def _guard(place: Keys, one: ExperimentIn, guard: GuardIn) -> Iterator[Fault]:
    compares = (guard.degraded, guard.empty, guard.slow) != (None, None, None)
    if not guard.sample_ratio and not compares:
        yield place, "guards against nothing: name sample_ratio, degraded, empty or slow"
    if guard.sample_ratio and one.kind == "rollout":
        told = "a rollout has no splits that users are counted by: leave it out"
        yield (*place, "sample_ratio"), told
    if compares and one.kind == "rollout" and not one.holdout:
        yield place, "there is nobody to compare a rollout with: give it a holdout"


def _apart(found: Experiments) -> Iterator[Fault]:
    """Experiments of one layer that would share a user, and layers that set the same thing."""
    owners: dict[Change, tuple[str, Change]] = {}
    for number, layer in enumerate(found.layers):
        place: Keys = ("layers", number, "experiments")
        active = [(i, one) for i, one in enumerate(layer.experiments) if one.goes_on]
        for (_, one), (index, other) in combinations(active, 2):
            (first, last), (others_first, others_last) = one.buckets, other.buckets
            if first <= others_last and others_first <= last:
                told = f"overlaps with {one.key} ({first} to {last}): choose other buckets"
                yield (*place, index, "buckets"), told
            if both := sorted(one.allowlist.keys() & other.allowlist.keys()):
                told = f"is on the allowlist of {one.key}, too, in the same layer: keep one"
                yield (*place, index, "allowlist", both[0]), told
        for index, one in active:
            for change in sorted(one.changes()):
                subject = ("student",) if is_of_lists(change) else change
                owner, theirs = owners.setdefault(subject, (layer.name, change))
                if owner != layer.name:
                    does = f"as the layer {owner} does"
                    if theirs != change:
                        does = f"which goes with {'.'.join(theirs)} of the layer {owner}"
                    told = (
                        f"sets {'.'.join(change)}, {does}: a user may be in both, so put the two"
                        " experiments into one layer"
                    )
                    yield (*place, index, "arms"), told


def _layer(given: LayerIn) -> Layer:
    return Layer(given.name, given.salt, tuple(map(_of, given.experiments)))


def _of(given: ExperimentIn) -> Experiment:
    return Experiment(
        key=given.key,
        kind=given.kind,
        status=given.status,
        buckets=given.buckets,
        traffic=given.traffic,
        arms=tuple(map(_arm, given.arms)),
        holdout=given.holdout,
        starts_ms=_ms(given.starts),
        ends_ms=_ms(given.ends),
        allowlist=given.allowlist,
        guard=None if given.guard is None else _guard_of(given.guard),
    )


def _guard_of(given: GuardIn) -> Guard:
    slow, slow_ms = (given.slow.more, given.slow.ms) if given.slow else (None, 0)
    return Guard(given.sample_ratio, given.degraded, given.empty, slow, slow_ms)


def _arm(given: ArmIn) -> Arm:
    sampling = given.sampling.model_dump(exclude_none=True)
    retrieval = given.retrieval.model_dump(exclude_none=True)
    return Arm(given.name, given.split, given.student, given.fusion, retrieval, sampling)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)
