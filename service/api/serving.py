"""Routes that know what they answer with only where it is shown, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.routing import BaseRoute

from service.libraries import without


class Shown(BaseModel):
    """A body of an answer: no request needs its model, since answers are written as they are."""

    model_config = ConfigDict(defer_build=True)


class ServedRoute(APIRoute):
    """A route whose endpoint returns a `Response`: FastAPI builds no models for what it holds."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self._options = options
        served = {**options, "response_model": None, "responses": None}
        with without("pydantic.v1"):  # looked for in every model, to refuse it
            super().__init__(path, endpoint, **served)

    def documented(self) -> APIRoute:
        """The same with all that the document says of its answers."""
        return APIRoute(self.path, self.endpoint, **self._options)


def documented(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """These routes as the OpenAPI document shows them."""
    return [one.documented() if isinstance(one, ServedRoute) else one for one in routes]
