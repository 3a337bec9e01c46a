"""The folder of a training run: its checkpoints, and the note of what it is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.errors import ConfigurationError
from service.manifest import sha256_of


def last_checkpoint(out: Path, resume: bool) -> Path | None:
    """The newest complete checkpoint of the run in `out`; None for a fresh start.

    Raises `ConfigurationError`: `out` holds a run and `resume` is off, or there is none to resume.
    """
    found = [path for path in out.glob("checkpoint-*") if _is_whole(path)]
    if found and not resume:
        raise ConfigurationError(f"{out} holds a run: add --resume, or choose another --out")
    if resume and not found:
        raise ConfigurationError(f"{out} holds no checkpoint to resume from; leave --resume out")
    return max(found, key=lambda p: int(p.name.rpartition("-")[2]), default=None)


def _is_whole(checkpoint: Path) -> bool:
    """Its state is written last; one cut off by a full disk or a kill says no step or another."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_bytes())
        return bool(state["global_step"] == int(checkpoint.name.rpartition("-")[2]))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def require_same_run(
    out: Path,
    resume: bool,
    settings: Mapping[str, Any],
    student: Path,
    begins_with: Path | None = None,
) -> None:
    """Note what the run is made of, or refuse to go on with something else.

    `settings` are those parts of its configuration that may not change, as JSON knows them;
    `begins_with` is the adapter that is trained on. Raises `ConfigurationError` that names what
    differs: a part of the settings, that adapter, the template or the vocabulary in the folder
    `student`.
    """
    made_of = dict(settings)
    for name in ("template.yaml", "vocabulary.json"):
        made_of[name] = sha256_of(student / name)
    if begins_with:
        made_of["begins_with"] = sha256_of(begins_with)
    note = out / "run.json"
    if resume and note.is_file():
        begun = json.loads(note.read_bytes())
        if other := sorted(key for key in made_of if begun.get(key) != made_of[key]):
            raise ConfigurationError(
                f"{out}: was begun with another {', '.join(other)}; put that back, or start anew "
                "with another --out"
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    aside = out / "run.part"
    aside.write_text(json.dumps(made_of, indent=1), encoding="utf-8")
    aside.replace(note)
