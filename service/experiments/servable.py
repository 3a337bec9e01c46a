"""Whether what arms ask for is there, and fits the students that are there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from service.experiments.definitions import HEURISTIC, Arm, Experiments, Fault, Keys
from service.manifest import Manifest

Misfit = tuple[str, str]
"""A field of an arm's `sampling`, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Servable:
    """What arms may ask for."""

    students: Mapping[str, Manifest]
    """The configured students by `name@version`."""
    defaults: Mapping[str, Manifest]
    """Those that serve an arm that names none: two while one takes the place of the other."""
    fusion: Callable[[Mapping[str, float]], Mapping[str, str]]
    """Of an arm's fusion constants: those that are wrong, and why."""


def unservable(found: Experiments, servable: Servable) -> Iterator[Fault]:
    """Arms that ask for what there is not, or for what their student cannot do."""
    known = (HEURISTIC, *sorted(servable.students))
    for number, layer in enumerate(found.layers):
        for index, one in enumerate(layer.experiments):
            for arm_number, arm in enumerate(one.arms):
                place: Keys = ("layers", number, "experiments", index, "arms", arm_number)
                if one.goes_on and arm.student is not None and arm.student not in known:
                    told = f"no student is called {arm.student}; there are: {', '.join(known)}"
                    yield (*place, "student"), told
                elif one.goes_on:
                    for name, told in misfits(arm, servable.students, servable.defaults):
                        yield (*place, "sampling", name), told
                for name, told in servable.fusion(arm.fusion).items():
                    yield (*place, "fusion", name), told


def misfits(
    arm: Arm, students: Mapping[str, Manifest], defaults: Mapping[str, Manifest]
) -> Iterator[Misfit]:
    """Sampling constants that do not go together with the rest of the student's manifest.

    `students` hold the arm's own, if it names one.
    """
    if not arm.sampling:
        return
    if arm.student == HEURISTIC:
        yield next(iter(arm.sampling)), "the heuristic does not sample: leave sampling out"
        return
    decoding = defaults if arm.student is None else {arm.student: students[arm.student]}
    for key, manifest in decoding.items():
        yield from _misfits(arm.sampling, key, manifest)


def _misfits(sampling: Mapping[str, int | float], key: str, manifest: Manifest) -> Iterator[Misfit]:
    """What the manifest would refuse if the constants stood in it."""

    def value(name: str) -> tuple[int | float, str]:
        """The constant as it is used, and how to call it."""
        if name in sampling:
            return sampling[name], name
        return getattr(manifest.decoding, name), f"{name} of {key}"

    (n, n_told), (temperature, temperature_told) = value("n"), value("temperature")
    if n > 1 and temperature == 0:
        told = (
            f"{n_told} is {n} and {temperature_told} is 0, which gives {n} equal samples: set"
            " temperature above 0, or n to 1"
        )
        yield ("n" if "n" in sampling else "temperature"), told
    max_tokens, _ = value("max_tokens")
    most = manifest.engine.max_model_len - manifest.prompt_budget
    if max_tokens > most:
        told = f"is {max_tokens}, but beside its prompt {key} has room for {most} tokens"
        yield "max_tokens", told
