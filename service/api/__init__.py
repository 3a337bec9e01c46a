"""HTTP: routes, wire schemas, keys, and the one table from error to status."""

from service.libraries import models_built_when_used, without

with models_built_when_used(), without("pydantic.v1"):
    import fastapi.applications
    import fastapi.openapi.utils  # noqa: F401
