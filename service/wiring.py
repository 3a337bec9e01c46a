"""From settings to parts: one function a part, used by the gateway and by the commands.

A part's library is imported where the part is made: no process pays for the index that it does not
use, nor for the engines' client where it has no engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from service import __version__
from service.addresses import http_url
from service.choice import fusion_faults
from service.errors import ConfigurationError, EventsUnavailable
from service.events.store import Events
from service.events.streams import EventLimits
from service.events.writer import EventWriter
from service.experiments.live import LiveExperiments
from service.experiments.servable import Servable
from service.identity import Identity
from service.manifest import Manifest
from service.protocols import ArticleIndex
from service.redis.calls import Calls
from service.redis.client import RedisClient
from service.redis.client import connect as connect_redis
from service.retrieval.fusion import FusionSettings
from service.retrieval.indexes.loading import ArticleWriter
from service.settings import Settings
from service.settings_groups import TlsSettings
from service.signals.store import RedisSignalStore, Retention
from service.telemetry import Metrics
from service.tls import Tls
from service.tracing import UNTRACED, Tracing

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch

_DAY_S = 86_400
_EVENT_CALLS = 8
"""Batches of feedback that are written at once."""


def open_redis(settings: Settings) -> RedisClient:
    """Connections to Redis, for all that is kept there; nothing is sent yet."""
    return connect_redis(
        settings.redis_url,
        username=settings.redis_username,
        password=secret_of(settings.redis_password),
        pool=settings.redis_pool,
        tls=tls_of("INTERESTS_REDIS_TLS", settings.redis_tls),
    )


def open_store(settings: Settings, client: RedisClient | None = None) -> RedisSignalStore:
    """The signal store, over these connections or its own; it closes either. Sends nothing."""
    client = client or open_redis(settings)
    retention = Retention(
        signals=settings.signals_kept,
        signals_s=settings.signals_ttl_days * _DAY_S,
        # A list too old to stand in for a failed one has no use left.
        lists_s=max(settings.stale_max_age_s, settings.reuse_max_age_s, 1),
    )
    return RedisSignalStore(client, retention=retention, calls=settings.redis_pool)


def open_events(settings: Settings, client: RedisClient) -> Events:
    """Exposures and feedback over these connections; nothing is sent yet."""
    limits = EventLimits(settings.events_kept, settings.events_days * _DAY_S)
    return Events(Calls(client, at_once=_EVENT_CALLS, failure=EventsUnavailable), limits)


def open_event_writer(
    settings: Settings, client: RedisClient, identity: Identity, metrics: Metrics
) -> EventWriter:
    """What writes this process's exposures; nothing is sent before it is started."""
    return EventWriter(
        Calls(client, at_once=1, failure=EventsUnavailable),
        EventLimits(settings.events_kept, settings.events_days * _DAY_S),
        identity,
        wrote=lambda kind, count: metrics.events_written.labels(kind.name.lower()).inc(count),
        dropped=lambda kind, count: metrics.events_dropped.labels(kind.name.lower()).inc(count),
    )


def open_index(settings: Settings, metrics: Metrics | None = None) -> ArticleIndex:
    """The article index: OpenSearch where a URL is set, else the embedded one. Sends nothing.

    `metrics` shows which of several nodes are used.
    """
    if url := settings.opensearch_url:
        from service.retrieval.indexes.opensearch import OpenSearchIndex

        return OpenSearchIndex(
            _opensearch(settings, url, metrics),
            settings.index_name,
            language=settings.index_language,
        )
    from service.retrieval.indexes.tantivy import TantivyIndex

    return TantivyIndex(_index_folder(settings), language=settings.index_language)


def open_index_writer(settings: Settings, *, take_off: bool = False) -> ArticleWriter:
    """The writing side of `open_index`'s index; `take_off`: see `OpenSearchWriter`."""
    if url := settings.opensearch_url:
        from service.retrieval.indexes.opensearch_writer import OpenSearchWriter

        client = _opensearch(settings, url)
        return OpenSearchWriter(
            client, settings.index_name, take_off=take_off, language=settings.index_language
        )
    from service.retrieval.indexes.tantivy_writer import TantivyWriter

    return TantivyWriter(_index_folder(settings), language=settings.index_language)


def open_tracing(settings: Settings) -> Tracing:
    """What makes traces; nothing is sent yet.

    Raises `ConfigurationError` for a URL that cannot be one, and where the extra is missing.
    """
    given = settings.tracing
    if given.endpoint is None:
        return UNTRACED
    parts = http_url(given.endpoint, "INTERESTS_TRACING__ENDPOINT", password=True)
    try:
        from service.tracing_otel import OpenTelemetryTracing
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise ConfigurationError(
            "INTERESTS_TRACING__ENDPOINT needs the extra `tracing`, which is not installed: pip "
            "install 'interests[tracing]', or make tracing where you have the sources; or unset it"
        ) from None
    bare = given.endpoint.rstrip("/")
    return OpenTelemetryTracing(
        given.endpoint if parts.path.strip("/") else f"{bare}/v1/traces",
        ratio=given.sample_ratio,
        name=given.service_name,
        version=__version__,
    )


def servable(students: Mapping[str, Manifest], defaults: Mapping[str, Manifest]) -> Servable:
    """What arms may ask for, where these are the configured students and those by default."""
    # An arm's constants are bounded one by one, whatever the settings of the others are.
    return Servable(students, defaults, _fusion_faults)


_fusion_faults = partial(fusion_faults, FusionSettings())


def open_experiments(settings: Settings, can: Servable) -> LiveExperiments:
    """The experiments of the file in the settings; `can`: what their arms may ask for.

    Raises `ConfigurationError` for a file that cannot be used: there is no last good one yet.
    """
    path = settings.experiments_file
    if path is None:
        return LiveExperiments()
    from service.experiments.file import read_experiments

    return LiveExperiments(read_experiments(path, can))


def _opensearch(settings: Settings, url: str, metrics: Metrics | None = None) -> AsyncOpenSearch:
    from service.retrieval.indexes.opensearch_client import connect

    def show(address: str, used: bool) -> None:
        if metrics is not None:
            metrics.index_node_up.labels(address).set(used)

    return connect(
        url,
        username=settings.opensearch_username,
        password=secret_of(settings.opensearch_password),
        pool=settings.opensearch_pool,
        tls=tls_of("INTERESTS_OPENSEARCH_TLS", settings.opensearch_tls),
        on_node=show,
    )


def _index_folder(settings: Settings) -> Path:
    return settings.data_dir / "index" / settings.index_name


def secret_of(value: SecretStr | None) -> str | None:
    """A secret's text, where one is set."""
    return value.get_secret_value() if value is not None else None


def tls_of(where: str, tls: TlsSettings) -> Tls:
    """The certificates for one part; `where` is what its settings are called, for errors."""
    return Tls(where, tls.ca_file, tls.cert_file, tls.key_file, tls.verify)
