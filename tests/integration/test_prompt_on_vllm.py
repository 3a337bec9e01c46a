"""The prompt of the base student on the real vLLM."""

from __future__ import annotations

import httpx
import pytest

from tests.parts.vllm import Engine

pytestmark = pytest.mark.vllm


def test_the_engine_serves_the_model_that_the_manifest_names(vllm_engine: Engine) -> None:
    models = httpx.get(f"{vllm_engine.url}/v1/models").json()["data"]
    assert [m["id"] for m in models] == [vllm_engine.model]
