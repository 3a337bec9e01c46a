"""HEAD, which FastAPI's routes know nothing of, on every path that has GET (RFC 9110, 9.3.2)."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadAsGet:
    """Shows a HEAD to all behind it as the GET that it asks about.

    It stands before the gate, so that rights and limits are those of the GET. The body that this
    makes is left out by the server, which still knows what was asked.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope.setdefault("state", {})  # the two scopes have one state
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
