"""Experiments for these tests, with what does not matter filled in."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import yaml

from service.choice import fusion_faults
from service.experiments.definitions import Arm, Experiment, Experiments, Layer, Status
from service.experiments.servable import Servable
from service.manifest import Manifest
from service.retrieval.fusion import FusionSettings
from tests.unit.service.test_manifest import manifest_of

NOW_MS = 1_790_000_000_000
EVERYBODY = 10_000


def can(*students: str) -> Servable:
    """What arms may ask for, where these are the students, the first by default.

    They sample once at temperature 0, and have room for 64 tokens.
    """
    found = {}
    for key in students or ("small@9", "small@10"):
        name, version = key.split("@")
        found[key] = Manifest.model_validate(manifest_of(name=name, version=version))
    return Servable(found, dict([*found.items()][:1]), _fusion_faults)


_fusion_faults = partial(fusion_faults, FusionSettings())


def experiment(key: str = "e", **more: Any) -> Experiment:
    """Everybody in two halves, unless said otherwise."""
    given: dict[str, Any] = {
        "kind": "ab",
        "status": Status.RUNNING,
        "buckets": (0, 9_999),
        "traffic": EVERYBODY,
        "arms": (Arm("control", 5_000), Arm("other", 5_000, student="small@10")),
    }
    return Experiment(key, **{**given, **more})


def layer(*experiments: Experiment, name: str = "layer", salt: str = "salt") -> Experiments:
    """A file of one layer."""
    return Experiments((Layer(name, salt, experiments),))


def written(**changes: Any) -> dict[str, Any]:
    """The fields of an experiment as a file has them, changed; `None` takes one out."""
    fields: dict[str, Any] = {
        "key": "small-10",
        "kind": "ab",
        "status": "running",
        "buckets": [0, 4_999],
        "traffic": "10%",
        "arms": [
            {"name": "control", "split": "50%"},
            {"name": "small-10", "split": "50%", "student": "small@10"},
        ],
    }
    merged = {**fields, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def file_of(folder: Path, *experiments: dict[str, Any], **layers: list[dict[str, Any]]) -> Path:
    """A file of one layer with these experiments, or of several layers by name."""
    held = layers or {"students": list(experiments)}
    body = [
        {"name": name, "salt": f"{name}-salt", "experiments": found} for name, found in held.items()
    ]
    path = folder / "experiments.yaml"
    path.write_text(yaml.safe_dump({"layers": body}, sort_keys=False))
    return path
