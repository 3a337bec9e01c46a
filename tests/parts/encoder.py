"""Real encoders, built once, in `.cache/encoders`."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.packaging.encoders import DEFAULT_ENCODER, build_encoder, built_encoder, find_encoder
from models.simulation.encoder import WORLD_ENCODER

BUILT = Path(__file__).parents[2] / ".cache" / "encoders"


@pytest.fixture(scope="session")
def encoder_folder() -> Path:
    """The folder of the encoder that serves by default."""
    return _built(DEFAULT_ENCODER)


@pytest.fixture(scope="session")
def world_encoder_folder() -> Path:
    """The folder of the encoder that makes the simulated world."""
    return _built(WORLD_ENCODER.parent.name)


def _built(name: str) -> Path:
    entry = find_encoder(name)
    target = built_encoder(entry.manifest, BUILT)
    build_encoder(entry, target, lambda what, share: None)
    return target
