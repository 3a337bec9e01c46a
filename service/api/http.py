"""The HTTP application: routes behind the gate, problems, and the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.types import Lifespan

from service import __version__
from service.api import health, routes
from service.api.direct import Direct
from service.api.gate import Gate
from service.api.head import HeadAsGet
from service.api.keys import KeyRing
from service.api.packing import Packing
from service.api.ports import Ports
from service.api.problems import (
    KEY_REFUSALS,
    MEDIA_TYPE,
    PROBLEM_SCHEMA,
    install_problem_handlers,
    problem_schemas,
    refused,
)
from service.api.rights import right_of
from service.api.serving import documented
from service.limits import Admission
from service.pace import Pace
from service.telemetry import Metrics

_DESCRIPTION = """\
News candidates for a user, from queries that a language model writes out of the user's
cross-domain signals. Every answer leaves before its deadline and says how it was made."""


def build_http(
    *,
    keys: KeyRing,
    admission: Admission,
    pace: Pace,
    metrics: Metrics,
    max_body_bytes: int,
    body_timeout_s: float,
    access_log: bool = False,
    open_metrics: bool = False,
    operations_port: int | None = None,
    lifespan: Lifespan[FastAPI],
) -> FastAPI:
    """The application; its lifespan must put a `Context` into `app.state.context`."""
    # FastAPI's own page would load its script from a host that the caller may not reach. /redoc,
    # the same document once more, is left out.
    app = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs/assets",  # the gate asks for a key before all of /docs
        title="interests",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would name the host that the caller claims
    )
    # As they are: `include_router` would make each of them, and its models, once more.
    app.router.routes += [*routes.router.routes, *health.router.routes]
    install_problem_handlers(app)
    app.state.max_body_bytes = max_body_bytes
    app.state.ports = ports = Ports(operations_port)
    app.add_middleware(Direct, routes=routes.router.routes, refused=refused)
    app.add_middleware(Packing)
    app.add_middleware(
        Gate,
        keys=keys,
        admission=admission,
        pace=pace,
        metrics=metrics,
        max_body_bytes=max_body_bytes,
        body_timeout_s=body_timeout_s,
        access_log=access_log,
        open_metrics=open_metrics,
        ports=ports,
    )
    app.add_middleware(HeadAsGet)
    _document(app, asks_for_keys=not keys.is_open, open_metrics=open_metrics)
    return app


def _document(app: FastAPI, *, asks_for_keys: bool, open_metrics: bool) -> None:
    """Extend the OpenAPI document by what the gate does, since the routes never see it."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=documented(app.routes),
            )
            _use_problems(schema)
            if asks_for_keys:
                _declare_keys(schema, open_metrics=open_metrics)
            _declare_request_ids(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _use_problems(schema: dict[str, Any]) -> None:
    """Describe our problems, and not FastAPI's own validation errors, which we do not send.

    The routes only refer to the schema: FastAPI would build a model field for each status of each.
    """
    schema["components"]["schemas"].update(problem_schemas())
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


def _declare_request_ids(schema: dict[str, Any]) -> None:
    said = {
        "description": "The request's own `X-Request-Id` where it sent one, or a new one.",
        "schema": {"type": "string"},
    }
    for item in schema["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                response["headers"] = {"X-Request-Id": said}


def _declare_keys(schema: dict[str, Any], *, open_metrics: bool) -> None:
    """Say which operations ask for a key, and the two ways to send it."""
    schema["components"]["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    refused = {"content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_SCHEMA}}}}
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            right = right_of(method.upper(), path)
            if right is None or (right == "metrics" and open_metrics):
                continue
            operation["security"] = [{"key": []}, {"bearer": []}]
            for status, said in KEY_REFUSALS.items():
                operation["responses"].setdefault(str(status), {"description": said, **refused})
