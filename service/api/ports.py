"""Which paths are served on which of the two ports, where there are two."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

_FOR_OPERATIONS = ("/metrics", "/docs", "/openapi.json")
"""On the operations port alone; what begins with /docs/ belongs to it."""
_ON_BOTH = frozenset({"/", "/healthz", "/readyz"})
"""Probes may look at either: both ports are ready and drain together."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The operations port, if there is one. Without it everything is served on the one port."""

    operations: int | None = None

    def missing(self, scope: Scope) -> str | None:
        """Why the path of a request is not served on the port that it came to; None: it is."""
        path, operations = scope["path"], self._is_for_operations(scope)
        if self.operations is None or path in _ON_BOTH:
            return None
        if operations and not _belongs(path):
            return "The API is served on the gateway's main port, not on its operations port"
        if not operations and _belongs(path):
            return f"{_named(path)} is served on the gateway's operations port"
        return None

    def _is_for_operations(self, scope: Scope) -> bool:
        # The address of the socket, which the server knows: no header has a say in it.
        server = scope.get("server")
        return server is not None and server[1] == self.operations


def _named(path: str) -> str:
    return next(known for known in _FOR_OPERATIONS if path.startswith(known))


def _belongs(path: str) -> bool:
    return path in _FOR_OPERATIONS or path.startswith("/docs/")
