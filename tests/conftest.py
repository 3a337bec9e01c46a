"""Fixtures every test may ask for: the real parts, started when the first test asks."""

from __future__ import annotations

pytest_plugins = ["tests.parts.redis", "tests.parts.opensearch", "tests.parts.vllm"]
