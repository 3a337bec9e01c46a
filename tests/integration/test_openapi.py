"""Schemathesis over the real gateway: no 5xx, no undocumented status, no answer off its schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
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
    configured = {
        "REDIS_URL": redis.url,
        "STUDENTS__MAIN__MANIFEST": str(built_student / "student.yaml"),
        "MAX_IN_FLIGHT": "64",
    }
    try:
        with running_gateway(demo_index, configured) as running:
            running.wait_for("index")
            yield running
    finally:
        redis.close()


WITH_INPUT = (
    "POST /v1/interests",
    "POST /v1/interests:batch",
    "POST /v1/signals",
    "POST /v1/feedback",
    "DELETE /v1/users/{user_id}",
    "GET /v1/users/{user_id}/signals",
)
WITHOUT_INPUT = (
    "GET /v1/experiments",
    "GET /v1/students",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


@pytest.fixture(scope="module")
def operations(gateway: Gateway) -> dict[str, APIOperation[Any, Any, Any, Any]]:
    """Every operation of the running gateway's own OpenAPI document."""
    api = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")
    found = (operation.ok() for operation in api.get_all_operations())
    return {operation.label: operation for operation in found}


def test_every_operation_is_tried(
    operations: dict[str, APIOperation[Any, Any, Any, Any]],
) -> None:
    assert sorted(operations) == sorted(WITH_INPUT + WITHOUT_INPUT)
    for label in WITHOUT_INPUT:
        given = [*operations[label].body, *operations[label].path_parameters]
        assert given == [], f"{label} can be asked wrongly"


@pytest.mark.parametrize(
    ("mode", "label"),
    [
        *((GenerationMode.POSITIVE, label) for label in WITH_INPUT + WITHOUT_INPUT),
        *((GenerationMode.NEGATIVE, label) for label in WITH_INPUT),
    ],
)
def test_every_answer_is_as_documented(
    operations: dict[str, APIOperation[Any, Any, Any, Any]], label: str, mode: GenerationMode
) -> None:
    """Requests that the document allows, and requests that it does not."""
    operation = operations[label]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=80,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    answers()
