"""Fixtures every test may ask for: the real parts, started when the first test asks."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = [
    "tests.parts.redis",
    "tests.parts.opensearch",
    "tests.parts.vllm",
    "tests.parts.encoder",
]

# A slow machine is no fault of what is tested: no example has a time limit.
settings.register_profile("interests", deadline=None)
settings.load_profile("interests")
