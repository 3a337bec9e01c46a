"""The folder of a training run: its checkpoints, and the note of what it is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.errors import ConfigurationError
from service.files import whole_file
from service.manifest import sha256_of

_NOTE = "run.json"


def last_checkpoint(out: Path, resume: bool) -> Path | None:
    """The newest complete checkpoint of the run in `out`; None for a fresh start.

    Raises `ConfigurationError`: `out` holds a run and `resume` is off, or there is none to resume.
    """
    found = [path for path in out.glob("checkpoint-*") if _is_whole(path)]
    if found and not resume:
        raise ConfigurationError(f"{out} holds a run: add --resume, or choose another --out")
    if resume and not found:
        raise ConfigurationError(f"{out} holds no checkpoint to resume from; leave --resume out")
    return max(found, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written, as its name says."""
    return int(checkpoint.name.rpartition("-")[2])


def _is_whole(checkpoint: Path) -> bool:
    """Its state is written last; one cut off by a full disk or a kill says no step or another."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_bytes())
        return bool(state["global_step"] == step_of(checkpoint))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def made_of(
    settings: Mapping[str, Any], student: Path, begins_with: Path | None = None
) -> dict[str, Any]:
    """What a run is made of: it may not change when the run is gone on with.

    `settings` are those parts of its configuration that may not change, as JSON knows them; the
    rest are checksums of template and vocabulary in the folder `student`, and of `begins_with`,
    the adapter that is trained on.
    """
    parts = dict(settings)
    for name in ("template.yaml", "vocabulary.json"):
        parts[name] = sha256_of(student / name)
    if begins_with:
        parts["begins_with"] = sha256_of(begins_with)
    return parts


def require_same_run(out: Path, parts: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that was begun with something else.

    A folder without a note is taken as it is. Raises `ConfigurationError` that names the parts
    that differ.
    """
    note = out / _NOTE
    if not note.is_file():
        return
    begun = json.loads(note.read_bytes())
    if other := sorted(name for name in parts if begun.get(name) != parts[name]):
        raise ConfigurationError(
            f"{out}: was begun with another {', '.join(other)}; put that back, or start anew "
            "with another --out"
        )


def note_run(out: Path, parts: Mapping[str, Any]) -> None:
    """Write down what the run in `out` is made of."""
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(out / _NOTE) as file:
        file.write(json.dumps(parts, indent=1).encode())
