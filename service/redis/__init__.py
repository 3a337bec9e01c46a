"""Redis: connections, scripts and refusals, for every room that keeps something there."""

from service.libraries import without

# For metrics that nobody reads here, the client would load an SDK where it is installed.
with without("opentelemetry.metrics", "opentelemetry.sdk.metrics"):
    import redis.asyncio.cluster  # noqa: F401
