"""What a new file may not change of the one in use: that would move users between arms. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from service.experiments.definitions import Experiment, Experiments, Fault, Keys, Layer, percent

_REMEDY = "put it back, or stop this experiment and begin another under a new key"


def forbidden(now: Experiments, new: Experiments) -> list[Fault]:
    """What `new` changes that must stay: where in the new file, and the remedy.

    An experiment that is running or paused in both keeps its layer and salt, kind, arms, splits and
    holdout, what its arms serve, and all buckets that it has. So a user who is enrolled is moved by
    nothing but a lower `traffic`, `status`, time and the allowlist.
    """
    before = now.by_key()
    return [
        (keys, f"{told}: {_REMEDY}")
        for number, layer in enumerate(new.layers)
        for index, one in enumerate(layer.experiments)
        if one.key in before and before[one.key][1].goes_on and one.goes_on
        for keys, told in _moved(number, layer, index, one, *before[one.key])
    ]


def _moved(
    number: int, layer: Layer, index: int, new: Experiment, old_layer: Layer, old: Experiment
) -> Iterator[Fault]:
    place: Keys = ("layers", number, "experiments", index)
    if layer.name != old_layer.name:
        yield (*place, "key"), f"{old.key} was in the layer {old_layer.name}"
    elif layer.salt != old_layer.salt:
        yield ("layers", number, "salt"), f"was {old_layer.salt} while {old.key} goes on"
    if new.kind != old.kind:
        yield (*place, "kind"), f"was {old.kind}"
    if new.holdout != old.holdout:
        yield (*place, "holdout"), f"was {percent(old.holdout)}"
    (first, last), (old_first, old_last) = new.buckets, old.buckets
    if first > old_first or last < old_last:
        yield (*place, "buckets"), f"were {old_first} to {old_last} and may only grow"
    if (names := _names(old)) != _names(new):
        yield (*place, "arms"), f"were {', '.join(names)}, in this order"
        return
    for at, (arm, was) in enumerate(zip(new.arms, old.arms, strict=True)):
        if arm.split != was.split:
            yield (*place, "arms", at, "split"), f"was {percent(was.split)}"
        for field in ("student", "sampling", "fusion", "retrieval"):
            if getattr(arm, field) != (held := getattr(was, field)):
                yield (*place, "arms", at, field), f"was {held or 'not there'}"


def _names(one: Experiment) -> list[str]:
    return [arm.name for arm in one.arms]
