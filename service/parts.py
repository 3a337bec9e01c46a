"""The parts of a gateway, opened and joined to each other: all of it but HTTP.

So whatever serves without HTTP (a worker, a test) opens the same parts by the same code.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from service import wiring
from service import wiring_encoders as encoders
from service.choice import Chooser, PipelineSettings
from service.encoding.manifest import load_encoder_manifest
from service.errors import EventsUnavailable
from service.events.store import Events
from service.events.writer import NoExposures
from service.experiments.live import LiveExperiments, watching
from service.experiments.overlay import WATCHER, standing
from service.experiments.overlay_redis import RedisOverlay
from service.experiments.overlay_watch import following_overlay
from service.experiments.servable import Servable
from service.generation.ladder import HeuristicGenerator
from service.identity import Identity
from service.overload.load import Load
from service.pipeline import InterestPipeline
from service.protocols import (
    ArticleIndex,
    Encoder,
    ExposureSink,
    Retriever,
    ShadowSink,
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
from service.roster import Roster
from service.settings import Settings
from service.settings_values import generations
from service.shadows import Shadows
from service.steps import Steps
from service.students import ConfiguredStudents
from service.students_file import watching_students
from service.telemetry import Metrics
from service.wiring_students import open_student, read_students

_KEEP_S = 2.0
_TRIM_S = 600.0
"""Between two looks for events that have been kept for their time."""


def wall_ms() -> int:
    """Now, in milliseconds since 1970."""
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that is open."""

    store: SignalStore
    events: Events
    index: ArticleIndex
    encoder: Encoder | None
    roster: Roster
    identity: Identity
    experiments: LiveExperiments
    pipeline: InterestPipeline
    shadows: Shadows


@asynccontextmanager
async def open_parts(
    settings: Settings,
    students: ConfiguredStudents,
    metrics: Metrics,
    load: Load,
    *,
    now_ms: Callable[[], int] = wall_ms,
) -> AsyncIterator[Parts]:
    """Open every part for the block, and close them in reverse; none has to be up to begin.

    `students` are those to begin with; `load` is how busy the process is; `now_ms` is the clock
    that requests go by.
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

        opened = partial(open_student, settings, keep, metrics, load)
        roster = Roster(opened, late_s=settings.late_ms / 1000)
        stack.push_async_callback(roster.close)
        await roster.begin(students)

        def servable() -> Servable:
            return wiring.servable(roster.lasting, roster.defaults)

        identity = Identity(*(secret.encode() for secret in generations(settings.secret)))
        events = wiring.open_events(settings, redis)
        exposures: ExposureSink = NoExposures()
        found: ShadowSink | None = None
        if events.on:
            exposures = found = writer = wiring.open_event_writer(
                settings, redis, identity, metrics
            )
            writer.start()
            stack.push_async_callback(writer.stop)

            async def trim() -> None:
                await events.trim(asyncio.get_running_loop().time() + _KEEP_S)

            trimming = Repeating(trim, _TRIM_S, "trimming the events", (EventsUnavailable,))
            trimming.start()
            stack.push_async_callback(trimming.stop)
        experiments = wiring.open_experiments(settings, servable())
        if settings.students_file is not None:
            watched_students = watching_students(
                settings.students_file, read_students, students, roster, experiments, metrics
            )
            await stack.enter_async_context(watched_students)
        if settings.experiments_file is not None:
            watched = watching(
                experiments,
                settings.experiments_file,
                servable,
                partial(_show, metrics),
            )
            await stack.enter_async_context(watched)
            overlay, shown = RedisOverlay(redis), partial(_show_overlay, metrics, set())
            await stack.enter_async_context(following_overlay(experiments, overlay.read, shown))
        chooser = Chooser(
            serving=lambda: roster.serving,
            heuristic=HeuristicGenerator(settings.index_language),
            settings=_pipeline_settings(settings),
            experiments=experiments,
            saving=lambda: load.step,
        )
        steps = Steps(retriever, popular)
        pipeline = InterestPipeline(
            store=store,
            chooser=chooser,
            steps=steps,
            identity=identity,
            exposures=exposures,
            load=load,
            metrics=metrics,
            now_ms=now_ms,
        )
        shadows = Shadows(steps=steps, sink=found, metrics=metrics, now_ms=now_ms)
        stack.push_async_callback(shadows.close)
        yield Parts(store, events, index, encoder, roster, identity, experiments, pipeline, shadows)


def _show(metrics: Metrics, experiments: LiveExperiments) -> None:
    metrics.experiments_file_ok.set(experiments.ok)


def _show_overlay(
    metrics: Metrics, shown: set[tuple[str, str, str]], live: LiveExperiments, age_s: float
) -> None:
    """`shown` has the labels of those that are shown already."""
    metrics.experiments_overlay_age.set(age_s)
    now = {
        (key, str(action.effect), "watcher" if action.by == WATCHER else "hand")
        for key, action in standing(live.checked.experiments, live.overlay)
    }
    for labels in shown - now:
        metrics.experiment_overlay.remove(*labels)
    for labels in now:
        metrics.experiment_overlay.labels(*labels).set(1)
    shown.clear()
    shown.update(now)


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
