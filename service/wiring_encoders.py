"""From settings to encoders: for the queries of requests, and for the articles of a load."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from service.encoding.manifest import EncoderManifest, load_encoder_manifest, verify_encoder
from service.errors import ConfigurationError
from service.protocols import Encoder
from service.retrieval.indexes.loading import ArticleEncoder
from service.settings import Settings
from service.telemetry import Metrics
from service.wiring import secret_of, tls_of

if TYPE_CHECKING:
    from service.encoding.onnx import OnnxModel
    from service.encoding.remote import RemoteEncoder


def open_encoder(settings: Settings, metrics: Metrics) -> Encoder | None:
    """What encodes queries, its vectors kept; None where searches go by words alone.

    Raises `ConfigurationError` for files that are missing or no encoder, and for a bad URL.
    """
    manifest = settings.encoder.manifest
    if manifest is None:
        return None
    from service.encoding.cached import CachedEncoder

    if settings.encoder.url is not None:
        encoder: Encoder = _remote_encoder(settings, manifest, settings.encoder.url)
    else:
        from service.encoding.onnx import OnnxEncoder

        encoder = OnnxEncoder(_onnx_model(manifest))
    return CachedEncoder(encoder, size=settings.encoder.cache, lookups=metrics.encoded)


def open_article_encoder(settings: Settings) -> ArticleEncoder | None:
    """The same for loading articles, with all cores of the machine."""
    manifest = settings.encoder.manifest
    if manifest is None:
        return None
    from service.encoding.indexing import OnnxArticles, RemoteArticles

    if settings.encoder.url is not None:
        return RemoteArticles(_remote_encoder(settings, manifest, settings.encoder.url))
    return OnnxArticles(_onnx_model(manifest, threads=os.cpu_count() or 1))


def encoder_manifest(settings: Settings) -> EncoderManifest | None:
    """The encoder's manifest, its files checked where they are read here.

    Raises `ConfigurationError`.
    """
    given = settings.encoder
    if given.manifest is None:
        if given.url is not None:
            raise ConfigurationError(
                "INTERESTS_ENCODER__URL needs INTERESTS_ENCODER__MANIFEST, which says what is "
                "served there"
            )
        return None
    manifest = load_encoder_manifest(given.manifest)
    if given.url is None:
        verify_encoder(manifest, _folder_of(given.manifest))
    return manifest


def _remote_encoder(settings: Settings, path: Path, url: str) -> RemoteEncoder:
    from service.encoding.remote import RemoteEncoder

    given, manifest = settings.encoder, load_encoder_manifest(path)
    return RemoteEncoder(
        url,
        key=manifest.key,
        model=given.model or manifest.name,
        dimension=manifest.dimension,
        prefixes=(manifest.query_prefix, manifest.article_prefix),
        api_key=secret_of(given.api_key),
        tls=tls_of("INTERESTS_ENCODER__TLS", given.tls),
    )


def _onnx_model(path: Path, threads: int = 1) -> OnnxModel:
    from service.encoding.onnx import OnnxModel

    return OnnxModel(load_encoder_manifest(path), _folder_of(path), threads)


def _folder_of(manifest: Path) -> Path:
    return manifest if manifest.is_dir() else manifest.parent
