"""Gateways as sides: of this checkout, and of another one where it is given, loaded alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from loadtests.local_gateway import LocalGateway
from loadtests.raw_client import Reply
from loadtests.rig.loops import OK, Judge, Request, answered
from loadtests.rig.machine import ROOT, commit_of
from loadtests.rig.parts import Parts, Process
from service.errors import ConfigurationError
from service.records import Signal

GATEWAY = "gateway"
BEFORE = "gateway before"
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Checkout:
    """What a side is called, and the code that it runs."""

    name: str
    tree: Path


def checkouts(against: Path | None) -> list[Checkout]:
    """This one, and the other where it is given."""
    found = [Checkout(GATEWAY, ROOT)]
    return found if against is None else [*found, Checkout(BEFORE, against.resolve())]


def said_of(sides: Sequence[Checkout]) -> list[str]:
    """A sentence for a report that says what the other checkout is."""
    return [f"“{one.name}” is commit {commit_of(one.tree)}." for one in sides if one.tree != ROOT]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What every gateway of a scenario is given; each has a database and an index of its own."""

    here: Parts
    redis: str
    """See `Parts.redis`."""
    student: Path
    engine: Process | None = None
    index: Process | None = None
    """The stub; None for the embedded index."""
    articles: Path | None = None
    """For the embedded index."""
    users: Mapping[str, Sequence[Signal]] | None = None
    """Whose signals are stored."""
    more: Mapping[str, str] | None = None
    """Further settings, without `INTERESTS_`."""

    def start(self, sides: Sequence[Checkout]) -> Iterator[tuple[Checkout, LocalGateway]]:
        """Load and start a gateway for each."""
        for number, side in enumerate(sides):
            folder = self.here.side_folder()
            settings = self.settings(folder, number)
            if self.articles is not None:
                self.here.load(side.tree, settings, "index", self.articles)
            if self.users is not None:
                self.here.load_signals(side.tree, settings, self.users)
            yield side, self.here.gateway(side.tree, folder, settings)

    def settings(self, folder: Path, database: int) -> dict[str, str]:
        """Of a gateway over this data folder and database, without `INTERESTS_`."""
        settings = {
            "DATA_DIR": str(folder),
            "REDIS_URL": f"{self.redis}{database}",
            "STUDENTS__MAIN__MANIFEST": str(self.student),
        }
        if self.engine is not None:
            settings["STUDENTS__MAIN__ENGINES"] = json.dumps([self.engine.url])
        if self.index is not None:
            settings["OPENSEARCH_URL"] = self.index.url
        return settings | dict(self.more or {})


def made_by(queries: str, candidates: str = "search") -> Judge:
    """A judge: `OK` for a whole answer whose queries and candidates come from these rungs.

    It looks at the bytes and reads no JSON, which would cost the load generator more than sending.
    """
    source = f'"source":{{"queries":"{queries}","candidates":"{candidates}"}}'.encode()

    def judge(reply: Reply) -> str:
        if reply.status != 200:
            return answered(reply)
        if source not in reply.body:
            return f"not {queries} and {candidates}"
        return OK if b'"degraded":[]' in reply.body else "degraded"

    return judge


def keep_lists(gateway: LocalGateway, requests: Sequence[Request], limit: int) -> bytes:
    """Ask for every user until its list is kept. Returns the last answer that reused one.

    Raises `ConfigurationError` where a list is not kept after three requests, or where there are
    not as many candidates as are asked for.
    """
    body = b""
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        for request in requests:
            for _ in range(3):
                reply = client.post(request.path, content=request.body, headers=_JSON)
                answer = reply.raise_for_status().json()
                if answer["source"]["queries"] == "reused":
                    break
            else:
                raise ConfigurationError(f"no list is kept: {answer['source']}")
            if (found := len(answer["candidates"])) != limit:
                raise ConfigurationError(f"{found} candidates instead of {limit}: more articles")
            body = reply.content
    return body
