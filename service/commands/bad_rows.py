"""Bad rows of the files that a command reads, as its user sees them."""

from __future__ import annotations

import typer

from service.rows import BadRow, BadRows

_SHOWN = 20


class ShownRows(BadRows):
    """Bad rows whose first ones are shown on standard error as they come."""

    def __init__(self, limit: int, *, outcome: str = "") -> None:
        super().__init__(limit, self._show, outcome=outcome)

    def _show(self, row: BadRow) -> None:
        if self.count <= _SHOWN:
            typer.echo(f"passed over {row}", err=True)

    def close(self) -> None:
        """Say how many were not shown."""
        if (more := self.count - _SHOWN) > 0:
            typer.echo(f"and {more:,} bad rows more", err=True)
