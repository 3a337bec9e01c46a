"""Which right a request needs, and what its route is called in metrics and in the access log."""

from __future__ import annotations

_RIGHT_OF = {
    ("POST", "/v1/interests"): "interests",
    ("POST", "/v1/interests:batch"): "interests",
    ("POST", "/v1/signals"): "signals",
    ("POST", "/v1/feedback"): "feedback",
    ("GET", "/v1/students"): "interests",
    ("GET", "/v1/experiments"): "interests",
    ("GET", "/metrics"): "metrics",
}
_ANY_KEY = ("/docs", "/openapi.json")
"""What describes the service is for its callers."""
_USERS = "/v1/users/"
_LABELS = frozenset({path for _, path in _RIGHT_OF}) | {
    "/",
    "/healthz",
    "/readyz",
    "/docs",
    "/openapi.json",
}


def right_of(method: str, path: str) -> str | None:
    """The right that a caller of this route must have; None: the route asks for no certain one."""
    if method == "DELETE" and path.startswith(_USERS):
        return "delete"
    if method == "GET" and path.startswith(_USERS) and path.endswith("/signals"):
        return "read"
    return _RIGHT_OF.get((method, path))


def needs_a_key(path: str) -> bool:
    """Whether a path that needs no certain right is for callers with any key."""
    return path.startswith(_ANY_KEY)


def route_label(path: str) -> str:
    """The route of a path: it names no user, and all paths that nobody serves are one."""
    if path in _LABELS:
        return path
    if path.startswith(_USERS):
        return f"{_USERS}{{user_id}}{'/signals' if path.endswith('/signals') else ''}"
    return "other"
