"""A training before it begins: what it is made of, and whether it can begin at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from models.packaging.packaged import base_named_in
from models.training.params import TrainingConfig
from models.training.run_folder import last_checkpoint, made_of, require_same_run
from service.errors import ConfigurationError
from service.manifest import PackagedBase

_ADAPTER = "adapter.safetensors"

Config = TypeVar("Config", bound=TrainingConfig)


@dataclass(frozen=True, slots=True)
class Run(Generic[Config]):
    """A training that can begin, or go on."""

    config: Config
    student: Path
    """The folder of the student's template, vocabulary and manifest."""
    packaged: PackagedBase
    """The base that its manifest names."""
    base: Path
    """Where that base is made, cut to the vocabulary."""
    out: Path
    """Where checkpoints, the watch's record and the adapter go."""
    parts: Mapping[str, Any]
    """What it is made of, as the note in `out` says."""
    begins_with: Path | None
    """The adapter that is trained on; None: a new one."""
    last: Path | None
    """The checkpoint in `out` that it goes on from; None: from the start."""

    @property
    def adapter(self) -> Path:
        """Where the trained adapter goes."""
        return self.out / _ADAPTER


def prepare(config: Config, students: Path, bases: Path, out: Path, *, resume: bool) -> Run[Config]:
    """Look at everything that a training needs before it takes minutes; nothing is written.

    `students` and `bases` are folders of students and of training bases. Raises
    `ConfigurationError`: a file of the student, or the adapter to start from, is missing; `out`
    holds a run already and `resume` is off, or there is none to resume, or it was another.
    """
    student = students / config.student
    for name in ("template.yaml", "vocabulary.json"):
        if not (student / name).is_file():
            raise ConfigurationError(f"{student / name} is missing: a student needs it to train")
    packaged = base_named_in(student)
    begins_with = _adapter_of(config.starts_from, students) if config.starts_from else None
    last = last_checkpoint(out, resume)
    settings = config.model_dump(
        mode="json", exclude={"watch": True, "train": {"most_steps", "steps"}}
    )
    parts = made_of(settings, student, begins_with)
    if resume:
        require_same_run(out, parts)
    base = bases / config.student.replace("/", "-")
    return Run(config, student, packaged, base, out, parts, begins_with, last)


def _adapter_of(student: str, students: Path) -> Path:
    adapter = students / student / _ADAPTER
    if not adapter.is_file():
        raise ConfigurationError(
            f"starts_from: {adapter} is missing; train that student first and put its adapter "
            "there, or name another"
        )
    return adapter
