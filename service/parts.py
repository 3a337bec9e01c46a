"""The parts of a gateway, opened and joined to each other: all of it but HTTP.

So whatever serves without HTTP (a worker, a test) opens the same parts by the same code.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from service import wiring
from service import wiring_encoders as encoders
from service.choice import Chooser, PipelineSettings, ServingStudent
from service.encoding.manifest import load_encoder_manifest
from service.errors import EventsUnavailable
from service.events.store import Events
from service.events.writer import NoExposures
from service.experiments.live import LiveExperiments, watching
from service.generation.engines.dispatch import Dispatcher
from service.generation.ladder import HeuristicGenerator, LadderGenerator, NoEngine
from service.generation.reuse import Keep, ReusingGenerator, fingerprint
from service.generation.student import StudentGenerator
from service.identity import Identity
from service.manifest import Manifest
from service.pipeline import InterestPipeline
from service.protocols import (
    ArticleIndex,
    Encoder,
    ExposureSink,
    Generator,
    Retriever,
    SignalStore,
)
from service.records import KeptList
from service.repeating import Repeating
from service.retrieval.cache import QueryCache
from service.retrieval.fusion import FusionSettings
from service.retrieval.meaning import IndexSearch
from service.retrieval.popular import PopularSnapshot
from service.retrieval.retriever import IndexRetriever
from service.retrieval.watch import IndexWatch
from service.settings import Settings
from service.settings_values import generations
from service.telemetry import Metrics

_KEEP_S = 2.0
_TRIM_S = 600.0
"""Between two looks for events that have been kept for their time."""


def wall_ms() -> int:
    """Now, in milliseconds since 1970."""
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class OpenStudent:
    """A student whose engines are being looked after."""

    name: str
    """Its key in the settings."""
    manifest: Manifest
    dispatcher: Dispatcher
    serving: ServingStudent


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that is open."""

    store: SignalStore
    events: Events
    index: ArticleIndex
    encoder: Encoder | None
    students: Mapping[str, OpenStudent]
    """By `name@version`."""
    default_student: str
    identity: Identity
    experiments: LiveExperiments
    pipeline: InterestPipeline


@asynccontextmanager
async def open_parts(
    settings: Settings,
    manifests: Mapping[str, Manifest],
    metrics: Metrics,
    *,
    now_ms: Callable[[], int] = wall_ms,
) -> AsyncIterator[Parts]:
    """Open every part for the block, and close them in reverse; none has to be up to begin.

    `manifests` are those of `wiring.load_manifests`; `now_ms` is the clock that requests go by.
    """
    async with AsyncExitStack() as stack:
        redis = wiring.open_redis(settings)
        store = wiring.open_store(settings, redis)
        stack.push_async_callback(store.close)
        index = wiring.open_index(settings, metrics)
        stack.push_async_callback(index.close)
        encoder = await asyncio.to_thread(encoders.open_encoder, settings, metrics)
        if encoder is not None:
            stack.push_async_callback(encoder.close)
        path = settings.encoder.manifest  # its files were checked when the encoder was opened
        manifest = load_encoder_manifest(path) if path else None
        unrelated = manifest.unrelated if manifest else 0.0
        search = IndexSearch(index, encoder, unrelated, metrics.timed)
        retriever, popular = await _open_retrieval(settings, index, search, metrics, stack)

        async def keep(user_id: str, kept: KeptList) -> None:
            await store.keep(user_id, kept, asyncio.get_running_loop().time() + _KEEP_S)

        students = {
            manifest.key: await _open_student(settings, name, manifest, keep, metrics, stack)
            for name, manifest in manifests.items()
        }
        default = wiring.default_student(settings, manifests)
        identity = Identity(*(secret.encode() for secret in generations(settings.secret)))
        events = wiring.open_events(settings, redis)
        exposures: ExposureSink = NoExposures()
        if events.on:
            exposures = writer = wiring.open_event_writer(settings, redis, identity, metrics)
            writer.start()
            stack.push_async_callback(writer.stop)

            async def trim() -> None:
                await events.trim(asyncio.get_running_loop().time() + _KEEP_S)

            trimming = Repeating(trim, _TRIM_S, "trimming the events", (EventsUnavailable,))
            trimming.start()
            stack.push_async_callback(trimming.stop)
        experiments, servable = wiring.open_experiments(settings, manifests)
        if settings.experiments_file is not None:
            watched = watching(
                experiments, settings.experiments_file, servable, partial(_show, metrics)
            )
            await stack.enter_async_context(watched)
        chooser = Chooser(
            students={key: student.serving for key, student in students.items()},
            default_student=default,
            heuristic=HeuristicGenerator(settings.index_language),
            settings=_pipeline_settings(settings),
            experiments=experiments,
        )
        pipeline = InterestPipeline(
            store=store,
            chooser=chooser,
            retriever=retriever,
            popular=popular,
            identity=identity,
            exposures=exposures,
            metrics=metrics,
            now_ms=now_ms,
        )
        yield Parts(
            store, events, index, encoder, students, default, identity, experiments, pipeline
        )


def _show(metrics: Metrics, experiments: LiveExperiments) -> None:
    metrics.experiments_file_ok.set(experiments.ok)


async def _open_retrieval(
    settings: Settings,
    index: ArticleIndex,
    search: IndexSearch,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> tuple[Retriever, PopularSnapshot]:
    """The cache over the index, and the popular articles, both told when the index changes."""
    watch = IndexWatch(index)
    cache = QueryCache(watch, size=settings.cache_entries, ttl_s=settings.cache_ttl_s)
    popular = PopularSnapshot(
        index,
        settings.data_dir / "popular.json",
        settings.popular_size,
        settings.popular_refresh_s,
    )
    watch.on_change(popular.refresh_soon)
    stack.push_async_callback(cache.aclose)
    for part in (watch, popular):
        await part.start()
        stack.push_async_callback(part.stop)
    return IndexRetriever(search, cache, metrics), popular


async def _open_student(
    settings: Settings,
    name: str,
    manifest: Manifest,
    keep: Keep,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> OpenStudent:
    """A student's engines behind their dispatcher, and the ladder of its lists."""
    dispatcher = wiring.open_dispatcher(settings, name, manifest, metrics)
    await dispatcher.start()
    stack.push_async_callback(dispatcher.close)
    fresh: Generator = NoEngine()
    if settings.students[name].engines:
        blocked = wiring.template_lines(settings, name, manifest)
        fresh = StudentGenerator(
            dispatcher, metrics, keep, blocked=blocked, language=settings.index_language
        )
    reusing = ReusingGenerator(fresh, keep, settings.reuse_max_age_s)
    stack.push_async_callback(reusing.close)
    serving = ServingStudent(
        spec=wiring.student_spec(settings, name, manifest),
        render=wiring.renderer(settings, name, manifest),
        fingerprint=fingerprint,
        generator=LadderGenerator(reusing, settings.stale_max_age_s, settings.index_language),
    )
    return OpenStudent(name, manifest, dispatcher, serving)


def _pipeline_settings(settings: Settings) -> PipelineSettings:
    return PipelineSettings(
        signals_kept=settings.signals_kept,
        hits_per_query=settings.hits_per_query,
        own_signals=settings.own_signals,
        own_weight=settings.own_weight,
        fusion=FusionSettings(
            freshness_half_life_h=settings.freshness_half_life_h,
            freshness_weight=settings.freshness_weight,
            popularity_weight=settings.popularity_weight,
            meaning_weight=settings.meaning_weight,
            diversity=settings.diversity,
            own_places=settings.own_places,
        ),
        language=settings.index_language,
    )
