"""A real encoder: the default one, built once, in `.cache/encoders`."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.packaging.encoders import DEFAULT_ENCODER, build_encoder, built_encoder, find_encoder

_BUILT = Path(__file__).parents[2] / ".cache" / "encoders"


@pytest.fixture(scope="session")
def encoder_folder() -> Path:
    """The folder of the encoder that serves by default."""
    entry = find_encoder(DEFAULT_ENCODER)
    target = built_encoder(entry.manifest, _BUILT)
    build_encoder(entry, target, lambda what, share: None)
    return target
