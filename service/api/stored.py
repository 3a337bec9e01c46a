"""What callers get of what is stored of a user."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.api.serving import Shown
from service.dates import iso_ms
from service.records import Domain, UserState


class StoredSignalOut(Shown):
    """A signal as it is stored."""

    at: datetime | None = Field(description="Null beyond the year 9999.")
    domain: Domain
    text: str
    id: str
    item: str | None
    category: str | None
    weight: float


class KeptListOut(Shown):
    """A list of queries that is kept for the user's next request."""

    student: str = Field(description="The student that wrote it, its template and decoding.")
    age_s: float = Field(
        description="Seconds since the signals that it was written from were read."
    )


class UserSignalsOut(Shown):
    """What is stored of a user."""

    user_id: str
    signals: list[StoredSignalOut] = Field(description="Oldest first.")
    kept: list[KeptListOut]
    unreadable: int = Field(description="Stored entries that could not be read and are not shown.")


def from_state(user_id: str, state: UserState) -> dict[str, Any]:
    """What is stored of a user, as `UserSignalsOut`'s JSON object."""
    return {
        "user_id": user_id,
        "signals": [
            {
                "at": iso_ms(signal.at_ms),
                "domain": signal.domain,
                "text": signal.text,
                "id": signal.id,
                "item": signal.item,
                "category": signal.category,
                "weight": signal.weight,
            }
            for signal in state.signals
        ],
        "kept": [
            {"student": kept.student, "age_s": (state.read_at_ms - kept.made_at_ms) / 1000}
            for kept in state.kept
        ],
        "unreadable": state.corrupt,
    }
