"""The one table from error to HTTP status, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import http
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.api.bodies import JSON, names_json
from service.api.discreet import without_hosts
from service.api.serving import Shown
from service.errors import (
    EventsUnavailable,
    Forbidden,
    InterestsError,
    InvalidInput,
    NothingToServe,
    Overloaded,
    SignalsUnavailable,
    StageError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_SCHEMAS = "#/components/schemas/"
PROBLEM_SCHEMA = f"{_SCHEMAS}Problem"
"""Where the OpenAPI document describes a problem."""
KEY_REFUSALS = {401: "No key, or an unknown one.", 403: "The key lacks the right."}
"""What the OpenAPI document says of a route that asks for a key."""

_STATUS: tuple[tuple[type[InterestsError], int, str], ...] = (
    (Forbidden, 403, "forbidden"),
    (InvalidInput, 422, "invalid-input"),
    (Overloaded, 429, "overloaded"),
    (NothingToServe, 503, "nothing-to-serve"),
    (EventsUnavailable, 503, "events-unavailable"),
    (SignalsUnavailable, 503, "signals-unavailable"),
)
"""First match wins. These are the errors that a route lets through: everything else of ours is
answered from a lower rung, not refused."""

_TYPE_OF_STATUS = {
    400: "invalid-input",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "body-too-slow",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-input",
    429: "overloaded",
    431: "head-too-large",
    500: "internal",
    503: "unavailable",
}


class FieldError(TypedDict):
    """Where in the request, and what to do about it."""

    field: str
    message: str


class FieldProblem(Shown):
    """One thing wrong with one field."""

    field: str = Field(description="Path of the field, dots and [indexes]; `body` for the whole.")
    message: str = Field(description="What is wrong and what is accepted.")


class Problem(Shown):
    """RFC 9457 problem details."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:interests:problem:invalid-input",
                    "title": "Unprocessable Entity",
                    "status": 422,
                    "detail": "limit: Input should be less than or equal to 500",
                    "errors": [
                        {
                            "field": "limit",
                            "message": "Input should be less than or equal to 500",
                        }
                    ],
                }
            ]
        }
    )

    type: str = Field(description="`urn:interests:problem:<word>`; the word is stable.")
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field(default_factory=list, description="Only with 422.")


def problem_schemas() -> dict[str, Any]:
    """The JSON Schemas of a problem and of what it holds, by name, for the OpenAPI document."""
    whole = Problem.model_json_schema(ref_template=_SCHEMAS + "{model}", mode="serialization")
    return {**whole.pop("$defs"), "Problem": whole}


def problem_body(
    status: int, detail: str, *, kind: str | None = None, errors: Sequence[FieldError] = ()
) -> dict[str, Any]:
    """The JSON object of a problem."""
    body: dict[str, Any] = {
        "type": f"urn:interests:problem:{kind or _TYPE_OF_STATUS.get(status, 'error')}",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    return body


def problem(
    status: int,
    detail: str,
    *,
    kind: str | None = None,
    errors: Sequence[FieldError] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem as a response."""
    return _response(problem_body(status, detail, kind=kind, errors=errors), headers)


def _response(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(body), status_code=body["status"], media_type=MEDIA_TYPE, headers=headers
    )


def _no_json(request: Request) -> Response:
    """Why a body could not be read: it is broken, or was never meant to be JSON."""
    message = "The body is not valid JSON in UTF-8"
    if names_json(request):
        return problem(422, message, errors=[{"field": "body", "message": message}])
    return problem(415, f"{message}. Send JSON, with the header Content-Type: {JSON}")


def problem_of(error: InterestsError) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers for one of our errors; raises it again if it has no place in the table."""
    for kind_of_error, status, kind in _STATUS:
        if isinstance(error, kind_of_error):
            errors: list[FieldError] = []
            headers: dict[str, str] = {}
            if isinstance(error, InvalidInput) and error.field:
                errors = [{"field": error.field, "message": str(error)}]
            if isinstance(error, Overloaded):
                headers["Retry-After"] = str(math.ceil(error.retry_after_s))
            detail = without_hosts(str(error)) if status == 503 else str(error)
            return problem_body(status, detail, kind=kind, errors=errors), headers
    raise error


def refused(request: Request, error: InterestsError) -> Response:
    """The answer to a request that one of our errors ended, and readiness is told of it.

    Raises the error again if it has no place in the table.
    """
    if isinstance(error, StageError):
        readiness = request.app.state.context.readiness
        readiness.met((error.reason,), request.state.request_id)
    return _response(*problem_of(error))


def invalid_body(findings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON object of the problem of a request that pydantic refused, by what it found."""
    errors = _field_errors(findings)
    first = errors[0]
    return problem_body(422, f"{first['field']}: {first['message']}", errors=errors)


def _field_errors(findings: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Pydantic's findings as field paths and sentences, without the input that caused them."""
    found: list[FieldError] = []
    for item in findings[:20]:
        path = ""
        for part in item["loc"][1:] if item["loc"][:1] == ("body",) else item["loc"]:
            path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
        message = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":  # its name is the caller's, and may be of any length
            path = path.removesuffix(str(item["loc"][-1])).removesuffix(".")
            message = "holds an unknown field; the fields are in /docs"
        found.append({"field": path or "body", "message": message})
    return found


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of this app as a problem."""

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        if error.errors()[0]["type"] == "json_invalid":
            return _no_json(request)
        return _response(invalid_body(error.errors()))

    @app.exception_handler(InterestsError)
    async def _ours(request: Request, error: InterestsError) -> Response:
        return refused(request, error)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # FastAPI's answer to bytes that are no UTF-8
            return _no_json(request)
        return problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        # This answer is sent from outside of the gate, which names all the others.
        named = request.state.request_id
        log.error("unexpected %s", type(error).__name__, extra={"fields": {"request_id": named}})
        detail = "An unexpected error; the log has it under this answer's X-Request-Id."
        return problem(500, detail, headers={"X-Request-Id": named})
