"""The routes of `/v1`: from wire to records, one call into the pipeline, and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import ValidationError
from starlette.background import BackgroundTask
from starlette.responses import Response

from service.api.answers import (
    BatchOut,
    FeedbackOut,
    InterestsOut,
    SignalsOut,
    StudentsOut,
    from_answer,
)
from service.api.bodies import JsonBodyRoute
from service.api.context import Context
from service.api.experiments import ExperimentsOut, from_live
from service.api.feedback import take_feedback
from service.api.problems import (
    KEY_REFUSALS,
    MEDIA_TYPE,
    PROBLEM_SCHEMA,
    invalid_body,
    problem_of,
)
from service.api.schemas import BatchIn, Entry, FeedbackIn, InterestsIn, SignalsIn, UserId
from service.api.stored import UserSignalsOut, from_state
from service.api.wire_signals import to_signals
from service.errors import (
    Forbidden,
    InterestsError,
    InvalidInput,
    NothingToServe,
    RetrievalError,
)
from service.forget import forget
from service.limits import Deadline
from service.shadows import Served
from service.signals.merge import identified
from service.signals.times import validate_times

_WRITE_S = 2.0
"""Time a write to the signal store may take before the caller is told to try again."""
_READ_S = 2.0
"""Time a look into the signal store may take before that."""


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    said = {
        **KEY_REFUSALS,
        404: "The path holds a line break, which no user id does.",
        408: "The body did not arrive in time.",
        413: "The body is too large.",
        415: "The body is not JSON, nor said to be; or it is in another encoding than gzip.",
        422: "Which field is wrong, and why.",
        429: "No room now; see `Retry-After`.",
        503: "Nothing to answer from, or the store did not answer: try again.",
    }
    return {
        status: {
            "description": said[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_SCHEMA}}},
        }
        for status in statuses
    }


router = APIRouter(prefix="/v1", tags=["interests"], route_class=JsonBodyRoute)


@router.post(
    "/interests",
    response_model=InterestsOut,
    response_model_exclude_none=True,
    responses=_problems(401, 403, 408, 413, 415, 422, 429, 503),
    summary="Candidates for a user, before the deadline",
    operation_id="interests",
)
async def interests(request: Request, body: InterestsIn) -> Response:
    """Read the user's signals, write news queries, search them, merge the hits.

    The answer says how it was made: `source` names the rungs of the ladder, `degraded` what went
    wrong on the way. A user nobody knows gets popular articles.
    """
    served: list[Served] = []
    answer = await _answer(request, body, served)
    request.state.request_id = _id_in_log(request, answer)
    return _json(answer, _shadows_of(request, served))


@router.post(
    "/interests:batch",
    response_model=BatchOut,
    response_model_exclude_none=True,
    responses=_problems(401, 403, 408, 413, 415, 422, 429),
    summary="Candidates for up to 64 users",
    operation_id="interests_batch",
)
async def interests_batch(request: Request, body: BatchIn) -> Response:
    """Each user is answered or refused by itself, in the order asked.

    A problem's fields are named as if the entry had been sent alone.
    """

    served: list[Served] = []

    async def answered(entry: Entry) -> dict[str, Any]:
        if isinstance(entry, ValidationError):
            return _refused(invalid_body(entry.errors(include_url=False, include_input=False)))
        try:
            return {"status": 200, "result": await _answer(request, entry, served)}
        except InterestsError as error:
            return _refused(problem_of(error)[0])

    # The gate holds one permit for this call; every further user needs one of its own.
    users = sum(isinstance(entry, InterestsIn) for entry in body.requests)
    caller = request.state.caller.name
    with _context(request).admission.permit(max(0, users - 1), caller):
        results = await asyncio.gather(*map(answered, body.requests))
    return _json({"results": results}, _shadows_of(request, served))


@router.post(
    "/signals",
    response_model=SignalsOut,
    responses=_problems(401, 403, 408, 413, 415, 422, 429, 503),
    summary="Store events of a user",
    operation_id="append_signals",
)
async def append_signals(request: Request, body: SignalsIn) -> Response:
    """Answers once the store has acknowledged every event. Sending them again changes nothing."""
    context = _context(request)
    now_ms = int(time.time() * 1000)
    found = identified(to_signals(body.signals, now_ms))
    validate_times(found, now_ms)
    until = asyncio.get_running_loop().time() + _WRITE_S
    done = await context.store.append(body.user_id, found, until)
    outcomes = {"stored": done.stored, "repeated": done.repeated, "dropped": done.dropped}
    for outcome, count in outcomes.items():
        context.metrics.signals_written.labels(outcome).inc(count)
    return _json(outcomes)


@router.post(
    "/feedback",
    response_model=FeedbackOut,
    responses=_problems(401, 403, 408, 413, 415, 422, 429, 503),
    summary="Say what readers did with answers",
    operation_id="feedback",
)
async def feedback(request: Request, body: FeedbackIn) -> Response:
    """Impressions, clicks and dwells, each stored or refused by itself.

    Answers once all that is not refused is stored. Sending events again changes nothing.
    """
    context = _context(request)
    now_ms = int(time.time() * 1000)
    return _json(await take_feedback(context, body.events, now_ms, _WRITE_S))


@router.delete(
    "/users/{user_id:path}",
    status_code=204,
    response_class=Response,
    responses=_problems(401, 403, 404, 408, 413, 422, 429, 503),
    summary="Forget a user",
    operation_id="delete_user",
)
async def delete_user(
    request: Request,
    user_id: Annotated[UserId, Path(description="Percent-encode what a path may not hold.")],
) -> Response:
    """Removes what is kept of the user at once: signals, lists, exposures, feedback.

    Forgetting an unknown user is fine. After an error some of it may be left: do it again.
    """
    _require_utf8(request)
    context = _context(request)
    until = asyncio.get_running_loop().time() + _WRITE_S
    await forget(context.store, context.events, user_id, until)
    return Response(status_code=204)


@router.get(
    "/users/{user_id:path}/signals",
    response_model=UserSignalsOut,
    responses=_problems(401, 403, 404, 422, 429, 503),
    summary="What is stored of a user",
    operation_id="user_signals",
)
async def user_signals(
    request: Request,
    user_id: Annotated[UserId, Path(description="Percent-encode what a path may not hold.")],
) -> Response:
    """The stored signals, and which lists are kept. An unknown user has none."""
    _require_utf8(request)
    until = asyncio.get_running_loop().time() + _READ_S
    return _json(from_state(user_id, await _context(request).store.get(user_id, until)))


@router.get(
    "/students",
    response_model=StudentsOut,
    responses=_problems(401, 403, 429),
    summary="The students that can serve",
    operation_id="students",
)
async def students(request: Request) -> Response:
    """Which students this gateway knows, and how their engines are."""
    return _json({"students": _context(request).students()})


@router.get(
    "/experiments",
    response_model=ExperimentsOut,
    responses=_problems(401, 403, 429),
    summary="The experiments in use",
    operation_id="experiments",
)
async def experiments(request: Request) -> Response:
    """What is compared on which users, and whether the file of experiments is in use."""
    return _json(from_live(_context(request).experiments, int(time.time() * 1000)))


def _refused(problem: dict[str, Any]) -> dict[str, Any]:
    return {"status": problem["status"], "problem": problem}


async def _answer(request: Request, body: InterestsIn, served: list[Served]) -> dict[str, Any]:
    """The answer as it is sent; it is added to those `served`, if shadows are to follow it."""
    context = _context(request)
    now_ms = int(time.time() * 1000)
    record = body.to_request(now_ms)
    if record.variant is not None and "variant" not in request.state.caller.rights:
        raise Forbidden("this key lacks the right 'variant'", field="variant")
    validate_times(record.signals, now_ms)
    pipeline = context.pipeline
    choice = pipeline.choose(record)
    timeout_ms = record.timeout_ms or choice.student.spec.timeout_ms
    started = request.state.started
    deadline = Deadline(started, started + timeout_ms / 1000)
    with context.pace.turn(deadline.remaining_s(), request.state.arrival) as ended:
        try:
            answered = await pipeline.run(record, choice, deadline)
            answer = from_answer(answered, explain=record.explain)
        except NothingToServe:
            context.readiness.met((RetrievalError.reason,), request.state.request_id)
            raise
        ended(deadline.remaining_s())
    if choice.shadows:
        served.append(Served(record, choice, answered, now_ms))
    if choice.by_default:  # readiness is of the default student
        context.readiness.met(answer["degraded"], _id_in_log(request, answer))
    return answer


def _shadows_of(request: Request, served: Sequence[Served]) -> BackgroundTask | None:
    """What begins once the answers have been sent."""
    if not served:
        return None
    context = _context(request)

    async def follow() -> None:
        context.shadows.follow(served, idle=context.pace.idle)

    return BackgroundTask(follow)


def _id_in_log(request: Request, answer: dict[str, Any]) -> str:
    """The caller's own id, where it sent one that was taken over; the answer's otherwise."""
    named: str = request.state.request_id
    return named if named == request.headers.get("x-request-id") else answer["request_id"]


def _require_utf8(request: Request) -> None:
    """Bytes that are no UTF-8 have become another name on their way here: that of somebody else."""
    try:
        unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("must be UTF-8, percent-encoded", field="user_id") from error


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _json(body: dict[str, Any], after: BackgroundTask | None = None) -> Response:
    return Response(orjson.dumps(body), media_type="application/json", background=after)
