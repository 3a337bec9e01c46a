"""The gateway, composed: the only place where its parts meet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from service import wiring
from service.api.context import Context, Readiness
from service.api.http import build_http
from service.api.keys import KeyRing
from service.errors import StageError
from service.generation.dispatch import Dispatcher
from service.generation.ladder import LadderGenerator, NoEngine
from service.generation.reuse import ReusingGenerator, fingerprint
from service.generation.student import StudentGenerator
from service.identity import Identity
from service.limits import Admission
from service.manifest import Manifest
from service.pipeline import InterestPipeline, PipelineSettings, ServingStudent
from service.protocols import Generator
from service.records import KeptList
from service.retrieval.cache import QueryCache
from service.retrieval.fusion import FusionSettings
from service.retrieval.popular import PopularSnapshot
from service.retrieval.retriever import IndexRetriever
from service.retrieval.watch import IndexWatch
from service.settings import ALL_RIGHTS, Settings
from service.signals.store import RedisSignalStore
from service.telemetry import Metrics

_KEEP_S = 2.0


def create_app(settings: Settings, *, registry: CollectorRegistry | None = None) -> FastAPI:
    """Compose the gateway. Raises `ConfigurationError` before anything is opened.

    Connections are made by the application's lifespan; no part has to be up for it to start.
    """
    registry = registry or CollectorRegistry()
    metrics = Metrics(registry)
    manifests = wiring.load_manifests(settings)
    admission = Admission(settings.max_in_flight)
    keys = KeyRing(
        {
            name: (key.secret.get_secret_value(), frozenset(key.rights))
            for name, key in settings.keys.items()
        },
        frozenset(ALL_RIGHTS),
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.context = await _open(
                settings, manifests, metrics, registry, admission, stack
            )
            yield

    return build_http(
        keys=keys,
        admission=admission,
        metrics=metrics,
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
        lifespan=lifespan,
    )


async def _open(
    settings: Settings,
    manifests: dict[str, Manifest],
    metrics: Metrics,
    registry: CollectorRegistry,
    admission: Admission,
    stack: AsyncExitStack,
) -> Context:
    """Open every part, register its closing, and hand them to the pipeline."""
    store = wiring.open_store(settings)
    stack.push_async_callback(store.close)
    index = wiring.open_index(settings)
    stack.push_async_callback(index.close)

    watch = IndexWatch(index)
    await _run(watch, stack)
    cache = QueryCache(watch, size=settings.cache_entries, ttl_s=settings.cache_ttl_s)
    stack.push_async_callback(cache.aclose)
    popular = PopularSnapshot(
        index,
        settings.data_dir / "popular.json",
        settings.popular_size,
        settings.popular_refresh_s,
        half_life_h=settings.freshness_half_life_h,
    )
    watch.on_change(popular.refresh_soon)
    await _run(popular, stack)

    students: dict[str, ServingStudent] = {}
    dispatchers: dict[str, Dispatcher] = {}
    for name, manifest in manifests.items():
        dispatcher = wiring.open_dispatcher(settings, name, manifest, metrics)
        await dispatcher.start()
        stack.push_async_callback(dispatcher.close)
        student = _student(settings, name, manifest, dispatcher, store, metrics, stack)
        students[student.spec.key] = student
        dispatchers[student.spec.key] = dispatcher
    default = wiring.default_student(settings, manifests)

    pipeline = InterestPipeline(
        store=store,
        students=students,
        default_student=default,
        retriever=IndexRetriever(index, cache, metrics),
        popular=popular,
        identity=Identity(settings.secret.get_secret_value().encode() if settings.secret else None),
        metrics=metrics,
        settings=PipelineSettings(
            signals_kept=settings.signals_kept,
            hits_per_query=settings.hits_per_query,
            own_signals=settings.own_signals,
            own_weight=settings.own_weight,
            fusion=FusionSettings(
                freshness_half_life_h=settings.freshness_half_life_h,
                freshness_weight=settings.freshness_weight,
                popularity_weight=settings.popularity_weight,
            ),
        ),
    )
    readiness = Readiness(
        checks={
            "redis": store.check,
            "index": index.check,
            "student": _engine_check(dispatchers[default]),
        },
        gating=frozenset({"index", "student"}),
    )
    by_key = {manifest.spec().key: (name, manifest) for name, manifest in manifests.items()}
    return Context(
        pipeline=pipeline,
        store=store,
        admission=admission,
        metrics=metrics,
        registry=registry,
        readiness=readiness,
        students=[
            _student_status(settings, *by_key[key], dispatcher, key == default)
            for key, dispatcher in dispatchers.items()
        ],
    )


def _student(
    settings: Settings,
    name: str,
    manifest: Manifest,
    dispatcher: Dispatcher,
    store: RedisSignalStore,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> ServingStudent:
    async def keep(user_id: str, kept: KeptList) -> None:
        await store.keep(user_id, kept, asyncio.get_running_loop().time() + _KEEP_S)

    engine: Generator
    if settings.students[name].engines:
        engine = StudentGenerator(dispatcher, metrics, keep)
    else:
        engine = NoEngine()
    reusing = ReusingGenerator(engine, keep, settings.reuse_max_age_s)
    stack.push_async_callback(reusing.close)
    return ServingStudent(
        spec=wiring.student_spec(settings, name, manifest),
        render=wiring.renderer(settings, name, manifest),
        fingerprint=fingerprint,
        generator=LadderGenerator(reusing, settings.stale_max_age_s),
    )


async def _run(part: IndexWatch | PopularSnapshot, stack: AsyncExitStack) -> None:
    await part.start()
    stack.push_async_callback(part.stop)


def _engine_check(dispatcher: Dispatcher) -> Callable[[float], Awaitable[None]]:
    async def check(until: float) -> None:
        engines = dispatcher.status()
        if engines and not any(engine.state == "up" for engine in engines):
            raise StageError(f"{engines[0].state}: {engines[0].reason}")

    return check


def _student_status(
    settings: Settings, name: str, manifest: Manifest, dispatcher: Dispatcher, default: bool
) -> Callable[[], dict[str, Any]]:
    spec = wiring.student_spec(settings, name, manifest)

    def status() -> dict[str, Any]:
        return {
            "key": spec.key,
            "name": spec.name,
            "version": spec.version,
            "default": default,
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
                for engine in dispatcher.status()
            ],
        }

    return status
