"""The signal store that the settings describe."""

from __future__ import annotations

from service.settings import Settings
from service.signals.client import connect
from service.signals.store import RedisSignalStore, Retention

_DAY_S = 86_400


def open_store(settings: Settings) -> RedisSignalStore:
    """The store; nothing is sent yet. Raises `ConfigurationError` naming the variable."""
    password = settings.redis_password
    client = connect(
        settings.redis_url,
        username=settings.redis_username,
        password=None if password is None else password.get_secret_value(),
        ca_file=settings.redis_tls.ca_file,
        cert_file=settings.redis_tls.cert_file,
        key_file=settings.redis_tls.key_file,
        verify=settings.redis_tls.verify,
        pool=settings.redis_pool,
    )
    retention = Retention(
        signals=settings.signals_kept,
        signals_s=settings.signals_ttl_days * _DAY_S,
        # A list too old to stand in for a failed one has no use left.
        lists_s=max(settings.stale_max_age_s, settings.reuse_max_age_s, 1),
    )
    return RedisSignalStore(client, retention=retention, calls=settings.redis_pool)
