"""One visit of a reader to the running service: ask, look, click, and tell what was done."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
import numpy as np

from models.demo.users import Act, Acts
from models.online.readers import Click, Habits, Reader, opened
from service.dates import iso
from service.errors import ConfigurationError
from service.records import Signal

_LIMIT = 30
_TRIES = 3
_LATER = frozenset({429, 503})


@dataclass(slots=True)
class Played:
    """What happened so far."""

    visits: int = 0
    refused: int = 0
    impressions: int = 0
    clicks: int = 0
    by_arm: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Visits by experiment and assigned arm, for the one who looks on: readers never see it."""
    by_source: Counter[str] = field(default_factory=Counter)
    """Visits by where the queries came from."""


class Visitor:
    """Visits the service for readers.

    `acts` draws what a reader does elsewhere between two visits; `timeout_ms` is asked for with
    each request, and the student's own where it is None.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        acts: Acts,
        habits: Habits,
        *,
        seed: int,
        timeout_ms: int | None,
    ) -> None:
        self._client = client
        self._acts = acts
        self._habits = habits
        self._seed = seed
        self._timeout_ms = timeout_ms
        self.played = Played()

    async def introduce(self, reader: Reader) -> None:
        """Store the reader's past. Doing it again changes nothing."""
        await self._store(reader.id, [_signal_row(signal) for signal in reader.signals])

    async def visit(self, reader: Reader, number: int) -> None:
        """The reader's visit of this number: the same luck for the same number."""
        rng = np.random.default_rng([self._seed, _number(reader), number])
        await self._live(reader, number, Random(f"{self._seed}/{reader.id}/{number}"))
        body: dict[str, Any] = {"user_id": reader.id, "limit": _LIMIT}
        if self._timeout_ms is not None:
            body["timeout_ms"] = self._timeout_ms
        answer = await self._post("/v1/interests", body)
        self.played.visits += 1
        if answer is None:
            self.played.refused += 1
            return
        for place in answer["experiments"]:
            self.played.by_arm[place["key"], place["assigned"]] += 1
        self.played.by_source[answer["source"]["queries"]] += 1
        shown = [candidate["id"] for candidate in answer["candidates"]][: self._habits.shown]
        clicks = opened(reader, shown, self._habits, self._seed, rng)
        await self._tell(reader, number, answer["request_id"], shown, clicks)
        titles = {one["id"]: one["title"] for one in answer["candidates"]}
        await self._store(reader.id, [_click_row(reader, number, one, titles) for one in clicks])

    async def _live(self, reader: Reader, number: int, rng: Random) -> None:
        """What the reader did elsewhere since the visit before: now and then something new."""
        acts = [self._acts.draw(reader.follows, rng) for _ in range(rng.randint(0, 2))]
        rows = [_act_row(reader, number, place, act) for place, act in enumerate(acts)]
        await self._store(reader.id, rows)

    async def _tell(
        self,
        reader: Reader,
        number: int,
        request_id: str,
        shown: Sequence[str],
        clicks: list[Click],
    ) -> None:
        at = iso(int(time.time() * 1000))
        events: list[dict[str, Any]] = [
            {"kind": "impression", "article_id": article} for article in shown
        ]
        for click in clicks:
            events.append({"kind": "click", "article_id": click.article})
            dwell = {"kind": "dwell", "article_id": click.article, "dwell_ms": click.dwell_ms}
            events.append(dwell)
        if not events:
            return
        common = {"request_id": request_id, "user_id": reader.id, "at": at}
        named = [
            {**common, **event, "event_id": f"{number}-{place}"}
            for place, event in enumerate(events)
        ]
        done = await self._post("/v1/feedback", {"events": named})
        if done is None or done["refused"]:
            told = "refused for the time being" if done is None else done["refused"][0]
            raise ConfigurationError(f"/v1/feedback of {reader.id}: {told}")
        self.played.impressions += len(shown)
        self.played.clicks += len(clicks)

    async def _store(self, user_id: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            done = await self._post("/v1/signals", {"user_id": user_id, "signals": rows})
            if done is None:
                raise ConfigurationError(f"/v1/signals of {user_id}: refused again and again")

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer; None where the service has no room, again and again."""
        for attempt in range(_TRIES):
            try:
                answer = await self._client.post(path, json=body)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                why = str(error) or type(error).__name__
                raise ConfigurationError(
                    f"no gateway answers at {self._client.base_url} ({why}); start one: `make run`"
                ) from error
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
            if answer.status_code not in _LATER:
                said = answer.json()
                raise ConfigurationError(f"{path}: {said.get('title')}: {said.get('detail')}")
            await asyncio.sleep(float(answer.headers.get("retry-after", 1)) * (attempt + 1))
        return None


def _number(reader: Reader) -> int:
    return int(reader.id.rpartition("-")[2])


def _signal_row(signal: Signal) -> dict[str, Any]:
    return {
        "at": iso(signal.at_ms),
        "domain": signal.domain,
        "text": signal.text,
        "id": signal.id,
        **({"item": signal.item} if signal.item else {}),
        **({"category": signal.category} if signal.category else {}),
    }


def _act_row(reader: Reader, number: int, place: int, act: Act) -> dict[str, Any]:
    return {
        "at": iso(int(time.time() * 1000)),
        "domain": act.domain,
        "text": act.text,
        "id": f"{reader.id}-act-{number}-{place}",
        **({"item": act.item} if act.item else {}),
    }


def _click_row(
    reader: Reader, number: int, click: Click, titles: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "at": iso(int(time.time() * 1000)),
        "domain": "news",
        "text": titles[click.article],
        "id": f"{reader.id}-click-{number}-{click.place}",
        "item": click.article,
    }
