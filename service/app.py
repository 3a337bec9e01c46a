"""The gateway: its parts behind HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from service import __version__, wiring
from service import wiring_encoders as encoders
from service.api.context import Context
from service.api.http import build_http
from service.api.keys import KeyRing
from service.api.readiness import Readiness
from service.errors import StageError
from service.identity import Identity
from service.overload.load import Load
from service.pace import Pace
from service.parts import Parts, open_parts, wall_ms
from service.pauses import watched_pauses
from service.protocols import Encoder
from service.repeating import Repeating
from service.roster import OpenStudent, Roster
from service.rotation import SecretFile, rotating
from service.settings import Settings
from service.settings_groups import ALL_RIGHTS
from service.settings_values import generations
from service.students import ConfiguredStudents
from service.telemetry import Metrics, process_registry
from service.tracing import Tracing
from service.wiring_students import configured_students, engines_of, servable_of

_LOOK_S = 5.0
"""Between two looks at the parts."""


def create_app(
    settings: Settings,
    *,
    registry: CollectorRegistry | None = None,
    tracing: Tracing | None = None,
    now_ms: Callable[[], int] = wall_ms,
) -> FastAPI:
    """Compose the gateway. Raises `ConfigurationError` before anything is opened.

    Connections are made by the application's lifespan; no part has to be up for it to start.
    `tracing` is that of the settings if it is left out; `now_ms` is the clock that requests go by.
    """
    keys = _keys(settings)
    tracing = tracing or wiring.open_tracing(settings)
    metrics = Metrics(registry or process_registry(__version__), tracing)
    students = configured_students(settings)
    _check_parts(settings, students)
    load, pace = wiring.open_load(settings, metrics), Pace(refused=metrics.refused_for)

    def lagged(seconds: float) -> None:
        metrics.loop_lag.observe(seconds)
        load.look(seconds)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            tracing.running(),
            open_parts(settings, students, metrics, load, now_ms=now_ms) as parts,
            watched_pauses(lagged, metrics.collected),
            rotating(_secret_files(settings, keys, parts.identity), metrics),
        ):
            context = _context(settings, parts, load, pace, metrics)
            app.state.context = context
            looking = Repeating(
                context.readiness.look, _LOOK_S, "looking after the parts", foreseen=()
            )
            looking.start()
            try:
                yield
            finally:
                await looking.stop()

    return build_http(
        keys=keys,
        admission=load.admission,
        pace=pace,
        metrics=metrics,
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
        access_log=settings.access_log,
        open_metrics=settings.open_metrics,
        operations_port=settings.operations_port,
        lifespan=lifespan,
    )


def _check_parts(settings: Settings, students: ConfiguredStudents) -> None:
    """Raise `ConfigurationError` for a URL, certificate or file that no part can be made with.

    The parts are made and dropped: none of them sends anything before it is started.
    """
    wiring.open_store(settings)
    wiring.open_index(settings)
    wiring.open_experiments(settings, servable_of(students))
    if encoders.encoder_manifest(settings) and settings.encoder.url is not None:
        encoders.open_article_encoder(settings)
    for student in students.by_key.values():
        engines_of(student)


def _keys(settings: Settings) -> KeyRing:
    return KeyRing(
        {
            name: (generations(key.secret), frozenset(key.rights))
            for name, key in settings.keys.items()
        },
        frozenset(ALL_RIGHTS),
    )


def _secret_files(settings: Settings, keys: KeyRing, identity: Identity) -> list[SecretFile]:
    """The files of the secrets that may change while the gateway runs, and who takes them."""
    files = [
        SecretFile(
            f"keys.{name}", key.secret_file, generations(key.secret), partial(keys.replace, name)
        )
        for name, key in settings.keys.items()
        if key.secret_file is not None
    ]
    if settings.secret_file is not None:

        def sign(secrets: tuple[str, ...]) -> None:
            identity.replace([secret.encode() for secret in secrets])

        files.append(SecretFile("secret", settings.secret_file, generations(settings.secret), sign))
    return files


def _context(settings: Settings, parts: Parts, load: Load, pace: Pace, metrics: Metrics) -> Context:
    """What the routes see of the parts."""
    roster = parts.roster
    return Context(
        pipeline=parts.pipeline,
        shadows=parts.shadows,
        store=parts.store,
        events=parts.events,
        event_days=settings.events_days,
        identity=parts.identity,
        admission=load.admission,
        pace=pace,
        metrics=metrics,
        registry=metrics.registry,
        readiness=Readiness(
            checks={
                "redis": parts.store.check,
                "index": parts.index.check,
                "student": _engine_check(roster),
                **({"encoder": _encoder_check(parts.encoder)} if parts.encoder else {}),
            },
            gating=frozenset({"index", "student"}),
            metrics=metrics,
        ),
        experiments=parts.experiments,
        students=lambda: [_status_of(roster, *one) for one in roster.students()],
    )


def _engine_check(roster: Roster) -> Callable[[float], Awaitable[None]]:
    async def check(until: float) -> None:
        engines = roster.default.dispatcher.status()
        if engines and not any(engine.state == "up" for engine in engines):
            raise StageError(f"{engines[0].state}: {engines[0].reason}")

    return check


def _encoder_check(encoder: Encoder) -> Callable[[float], Awaitable[None]]:
    async def check(until: float) -> None:
        # Another text each time: a vector that is kept would say nothing.
        await encoder.encode([f"check {until}"], "query", until)

    return check


def _status_of(roster: Roster, student: OpenStudent, in_use: bool) -> dict[str, Any]:
    spec, manifest = student.serving.spec, student.of.manifest
    return {
        "key": spec.key,
        "name": spec.name,
        "version": spec.version,
        "default": student is roster.default,
        "in_use": in_use,
        "parameters": manifest.parameters,
        "licence": manifest.licence,
        "timeout_ms": spec.timeout_ms,
        "prompt_budget": spec.prompt_budget,
        "engines": [
            {
                "url": engine.url,
                "state": engine.state,
                "in_flight": engine.running,
                "queued": engine.waiting,
            }
            for engine in student.dispatcher.status()
        ],
    }
