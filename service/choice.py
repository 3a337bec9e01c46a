"""What a request is served with: the arms that its user is in, put together with the settings.

And what came of it. `served` in an answer is the arm, where the answer is what the arm says. Else
it names what was served in its place, so that an analysis can leave such answers out:

- `student:NAME@VERSION`, reason `override`: the request chose a student (`variant`);
- `queries:stale`, `queries:heuristic`, `queries:none`: the arm's student wrote no list for these
  signals. The reason is that of `degraded`: an engine dead, overloaded, late or without a usable
  line, or signals that could not be read;
- `candidates:popular`: no search answered. The reason is that of `degraded`.

The first two befall only experiments in which an arm sets the student or its sampling: the others
are served with their constants all the same, whoever wrote the list. An answer cut short
(`generation_partial`, `retrieval_partial`, `encoder_unavailable`) is still the arm's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

from service.errors import ConfigurationError, InvalidInput
from service.experiments.assign import Assignment
from service.experiments.definitions import HEURISTIC, Arm
from service.experiments.live import LiveExperiments
from service.languages import ENGLISH, Language
from service.overload.saving import Step, own_signals
from service.protocols import Generator
from service.records import (
    CandidateSource,
    Degraded,
    Placement,
    Prompt,
    QuerySource,
    Signal,
    StudentSpec,
)
from service.retrieval.fusion import FusionSettings

OVERRIDE = "override"
"""Reason: the request chose its student."""
ALLOWLIST = "allowlist"
"""Reason of a place that no hash gave: such users are no sample."""
_WITHOUT_LIST = (
    Degraded.GENERATION_TIMEOUT,
    Degraded.GENERATION_UNAVAILABLE,
    Degraded.GENERATION_OVERLOADED,
    Degraded.GENERATION_INVALID,
)
_WITHOUT_SEARCH = (Degraded.RETRIEVAL_TIMEOUT, Degraded.RETRIEVAL_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class ServingStudent:
    """A student ready to serve: what it is, how its prompt is made, and who writes its lists."""

    spec: StudentSpec
    render: Callable[[tuple[Signal, ...]], Prompt]
    fingerprint: Callable[[tuple[Signal, ...]], str]
    generator: Generator
    spare: Generator
    """Writes lists in room that no request needs, or raises `GenerationError`: for shadows."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The students of one moment."""

    students: Mapping[str, ServingStudent]
    """By `name@version`."""
    default: str
    """`name@version` of the one that serves where nothing else is chosen."""


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What the pipeline itself needs to know."""

    signals_kept: int
    hits_per_query: int
    own_signals: int
    own_weight: float
    fusion: FusionSettings
    language: Language = ENGLISH


@dataclass(frozen=True, slots=True)
class ShadowChoice:
    """What a user's shadow arm would serve a request with."""

    place: Assignment
    student: ServingStudent
    settings: PipelineSettings
    writes: bool
    """Whether a list is written for it; else it searches the list that was served."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What one request is served with."""

    student: ServingStudent
    settings: PipelineSettings
    by_default: bool = True
    """Whether the default student is asked to write the list."""
    assigned: tuple[Assignment, ...] = ()
    override: str | None = None
    """`name@version` of the student that the request chose."""
    shadows: tuple[ShadowChoice, ...] = ()
    """Of the user's places those that are served to nobody; they are not among the `assigned`."""


class Chooser:
    """Chooses what serves each request."""

    def __init__(
        self,
        *,
        serving: Callable[[], Serving],
        heuristic: Generator,
        settings: PipelineSettings,
        experiments: LiveExperiments,
        saving: Callable[[], Step] = lambda: Step.NOTHING,
    ) -> None:
        """`serving`: the students of the moment; `heuristic` writes the lists of such arms;
        `saving`: how much is saved on requests now."""
        self._serving = serving
        self._heuristic = heuristic
        self._settings = settings
        self._experiments = experiments
        self._saving = saving

    def choose(self, user_id: str, variant: str | None, now_ms: int) -> Choice:
        """The student and the constants of a request. Raises `InvalidInput`: unknown variant."""
        variant = variant or None  # an empty one chooses nothing
        serving = self._serving()
        if variant is not None and variant not in serving.students:
            known = ", ".join(sorted(serving.students))
            raise InvalidInput(f"unknown student; the students are: {known}", field="variant")
        places = self._experiments.assign(user_id, now_ms)
        assigned = tuple(place for place in places if not place.experiment.is_shadow)
        arms = [place.arm for place in assigned if place.arm is not None]
        settings = _saved_on(_with_constants(self._settings, arms), self._saving())
        default = serving.students[serving.default]
        chosen = variant or next((arm.student for arm in arms if arm.student), None)
        student = self._student(serving, chosen)
        by_default = student is default
        for arm in arms if variant is None else ():
            if arm.sampling:  # of one arm at the most, that which sets the student if any does
                student = _decoding(student, arm.sampling)
        shadows = tuple(
            self._shadow(serving, place, place.arm, student, settings)
            for place in (places if variant is None else ())
            if place.experiment.is_shadow and place.arm is not None
        )
        return Choice(student, settings, by_default, assigned, variant, shadows)

    def _student(self, serving: Serving, chosen: str | None) -> ServingStudent:
        if chosen == HEURISTIC:
            default = serving.students[serving.default]
            return replace(default, generator=self._heuristic, spare=self._heuristic)
        return serving.students[chosen or serving.default]

    def _shadow(
        self,
        serving: Serving,
        place: Assignment,
        arm: Arm,
        student: ServingStudent,
        settings: PipelineSettings,
    ) -> ShadowChoice:
        """`student` and `settings` serve the request: it differs from them by its arm alone."""
        writes = arm.student is not None or bool(arm.sampling)
        if writes:
            student = _decoding(self._student(serving, arm.student), arm.sampling)
        return ShadowChoice(place, student, _with_constants(settings, [arm]), writes)


def _with_constants(settings: PipelineSettings, arms: Iterable[Arm]) -> PipelineSettings:
    """The settings with the constants of these arms."""
    constants: dict[str, Any] = {}
    fusion: dict[str, Any] = {}
    for arm in arms:
        constants |= arm.retrieval
        fusion |= arm.fusion
    if fusion:
        constants["fusion"] = replace(settings.fusion, **fusion)
    return replace(settings, **constants) if constants else settings


def _saved_on(settings: PipelineSettings, step: Step) -> PipelineSettings:
    """The settings with as many of the user's own signals searched as there is room for."""
    own = own_signals(step, settings.own_signals)
    return settings if own == settings.own_signals else replace(settings, own_signals=own)


def placements(
    choice: Choice,
    queries_from: QuerySource,
    candidates_from: CandidateSource,
    degraded: Sequence[Degraded],
) -> tuple[Placement, ...]:
    """The user's places in experiments, and what was served, as the module says. Pure."""
    if not choice.assigned:
        return ()
    no_list = no_search = None
    if queries_from not in (QuerySource.REUSED, QuerySource.FRESH):
        no_list = _first(_WITHOUT_LIST, degraded)
        if no_list is None and queries_from is QuerySource.NONE:
            no_list = _first((Degraded.SIGNALS_UNAVAILABLE,), degraded)
    if candidates_from is CandidateSource.POPULAR:
        no_search = _first(_WITHOUT_SEARCH, degraded)
    found = []
    for place in choice.assigned:
        served, reason = place.assigned, ALLOWLIST if place.listed else None
        compares_lists = place.experiment.compares_lists
        if choice.override is not None and compares_lists:
            served, reason = f"student:{choice.override}", OVERRIDE
        elif no_list is not None and compares_lists:
            served, reason = f"queries:{queries_from}", str(no_list)
        elif no_search is not None:
            served, reason = f"candidates:{candidates_from}", str(no_search)
        found.append(Placement(place.experiment.key, place.layer, place.assigned, served, reason))
    return tuple(found)


def _decoding(student: ServingStudent, sampling: Mapping[str, Any]) -> ServingStudent:
    """The student, decoding by these constants. Its kept lists are others, too: see `list_key`."""
    spec = student.spec
    return replace(student, spec=replace(spec, decoding=replace(spec.decoding, **sampling)))


def _first(wanted: Sequence[Degraded], degraded: Sequence[Degraded]) -> Degraded | None:
    return next((reason for reason in wanted if reason in degraded), None)


def fusion_faults(base: FusionSettings, constants: Mapping[str, float]) -> dict[str, str]:
    """Of an arm's fusion constants: those that are wrong, and why."""
    known = {field.name: type(getattr(base, field.name)) for field in fields(base)}
    found = {}
    for name, value in constants.items():
        if name not in known:
            alike = get_close_matches(name, known, n=1)
            meant = f"did you mean {alike[0]}?" if alike else f"there are: {', '.join(known)}"
            found[name] = f"no such constant; {meant}"
        elif known[name] is int and not isinstance(value, int):
            found[name] = f"is {value:g}, but must be a whole number"
        else:
            try:
                replace(base, **{name: value})  # type: ignore[arg-type]
            except ConfigurationError as error:
                found[name] = str(error).removeprefix(f"fusion: {name} ")
    return found
