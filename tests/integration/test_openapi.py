"""Schemathesis over the real gateway: no 5xx, no undocumented status, no answer off its schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.parts.gateway import Gateway, running_gateway
from tests.parts.redis import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def gateway(built_student: Path, demo_index: Path) -> Iterator[Gateway]:
    """Real Redis and a real index; no engine, so that thousands of calls take seconds."""
    redis = RedisServer().start()
    settings_of = {
        "REDIS_URL": redis.url,
        "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
        "MAX_IN_FLIGHT": "64",
    }
    try:
        with running_gateway(demo_index, settings_of) as running:
            running.wait_for("index")
            yield running
    finally:
        redis.close()


@pytest.fixture(scope="module")
def api(gateway: Gateway) -> Any:
    """The running gateway's own OpenAPI document."""
    return schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_answer_is_as_documented(case: schemathesis.Case) -> None:
    case.call_and_validate(
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
            unsupported_method,
        ]
    )
