"""The routes an operator's machines call: liveness, readiness, metrics, and `/`."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from service import __version__
from service.api.answers import HealthOut, ReadyOut
from service.api.context import Context
from service.api.ports import Ports
from service.api.serving import ServedRoute
from service.api.starting import ALIVE
from service.telemetry import exposition

router = APIRouter(tags=["operation"], route_class=ServedRoute)

_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": ReadyOut, "description": "Not yet, or draining: send traffic elsewhere."}
}

_LINKS = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "health": "/healthz",
    "ready": "/readyz",
}


@router.get("/", include_in_schema=False)
async def root(request: Request) -> Response:
    """Says what this is, for somebody who knows the address only, and where to go from here."""
    ports: Ports = request.app.state.ports
    links = {
        name: path
        for name, path in _LINKS.items()
        if not ports.missing({**request.scope, "path": path})
    }
    body = {"name": "interests", "version": __version__, "links": links}
    return Response(orjson.dumps(body), media_type="application/json")


@router.get(
    "/healthz",
    response_model=HealthOut,
    summary="The process is up",
    operation_id="healthz",
)
async def healthz() -> Response:
    """Says nothing of the parts behind: restarting this process would not mend them."""
    return Response(ALIVE, media_type="application/json")


@router.get(
    "/readyz",
    response_model=ReadyOut,
    responses=_NOT_READY,
    summary="Send traffic here",
    operation_id="readyz",
)
async def readyz(request: Request) -> Response:
    """200 once index and student have been fine together, 503 before that and while draining."""
    context: Context = request.app.state.context
    ready, checks = await context.readiness.look(request.state.request_id)
    body = {"ready": ready, "draining": context.readiness.draining, "checks": checks}
    return Response(
        orjson.dumps(body), status_code=200 if ready else 503, media_type="application/json"
    )


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    summary="Prometheus metrics",
    operation_id="metrics",
)
async def metrics(request: Request) -> Response:
    """In the format that the caller accepts; the labels are bounded and name no user, no query."""
    context: Context = request.app.state.context
    body, content_type = exposition(context.registry, request.headers.get("accept", ""))
    return Response(body, media_type=content_type)
