"""A gateway over fakes: the HTTP layer and the pipeline are real, the parts behind are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from service.api.context import Context
from service.api.http import build_http
from service.api.keys import KeyRing
from service.api.readiness import Readiness
from service.choice import Chooser, PipelineSettings, Serving, ServingStudent
from service.errors import EventsUnavailable, RetrievalUnavailable, SignalsUnavailable
from service.events.feedback import Outcome, Taken
from service.experiments.live import LiveExperiments
from service.generation.ladder import HeuristicGenerator, NoEngine
from service.identity import Identity
from service.overload.admission import Admission
from service.overload.load import Load
from service.pace import Pace
from service.pipeline import InterestPipeline
from service.protocols import Generator
from service.records import (
    Appended,
    Decoding,
    Filters,
    GenerationRequest,
    Hit,
    IndexAnswer,
    InterestAnswer,
    KeptList,
    Prompt,
    Query,
    QueryList,
    QuerySource,
    Retrieval,
    Run,
    ShadowAnswer,
    Signal,
    StudentSpec,
    UserState,
)
from service.retrieval.fusion import FusionSettings
from service.retrieval.popular import PopularSnapshot
from service.settings_groups import ALL_RIGHTS
from service.shadows import Shadows
from service.steps import Steps
from service.telemetry import Metrics
from service.tracing import UNTRACED, Tracing

SPEC = StudentSpec("fake", "1", "fake@1", "t", 1000, Decoding(), 2_000)
OTHER = replace(SPEC, version="2", model="fake@2")
READ_AT_MS = 1
EVERYTHING = frozenset(ALL_RIGHTS)


@dataclass
class FakeStore:
    """Signals in a dictionary; `broken` makes every call fail."""

    users: dict[str, tuple[Signal, ...]] = field(default_factory=dict)
    kept: tuple[KeptList, ...] = ()
    broken: bool = False

    async def get(self, user_id: str, until: float) -> UserState:
        self._fail()
        return UserState(self.users.get(user_id, ()), self.kept, read_at_ms=READ_AT_MS)

    async def append(self, user_id: str, signals: Sequence[Signal], until: float) -> Appended:
        self._fail()
        before = {one.id: one for one in self.users.get(user_id, ())}
        after = {**{one.id: one for one in signals}, **before}
        self.users[user_id] = tuple(sorted(after.values(), key=lambda one: one.at_ms))
        stored = len(after) - len(before)
        return Appended(stored, len(signals) - stored, 0)

    async def keep(self, user_id: str, kept: KeptList, until: float) -> None:
        self._fail()

    async def delete(self, user_id: str, until: float) -> bool:
        self._fail()
        return self.users.pop(user_id, None) is not None

    async def check(self, until: float) -> None:
        self._fail()

    def _fail(self) -> None:
        if self.broken:
            raise SignalsUnavailable("the store is broken")


@dataclass
class FakeEvents:
    """Feedback in a dictionary; `broken` makes every call fail."""

    taken: dict[tuple[str, str], Taken] = field(default_factory=dict)
    exposed: list[InterestAnswer] = field(default_factory=list)
    shadows: list[ShadowAnswer] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)
    """Users whose earlier requests can no longer be spoken of."""
    on: bool = True
    broken: bool = False

    def expose(self, answer: InterestAnswer) -> None:
        self.exposed.append(answer)

    def shadow(self, answer: ShadowAnswer) -> None:
        self.shadows.append(answer)

    async def take(self, events: Sequence[Taken], until: float) -> list[Outcome]:
        self._fail()
        found = []
        for one in events:
            key = one.event.request_id, one.event.event_id
            found.append(Outcome.REPEATED if key in self.taken else Outcome.STORED)
            if one.event.user_id in self.erased:
                found[-1] = Outcome.DELETED
            else:
                self.taken.setdefault(key, one)
        return found

    async def erase(self, user_id: str, until: float) -> int:
        self._fail()
        self.erased.add(user_id)
        of_user = [key for key, one in self.taken.items() if one.event.user_id == user_id]
        for key in of_user:
            del self.taken[key]
        return len(of_user)

    def _fail(self) -> None:
        if self.broken:
            raise EventsUnavailable("the streams are broken")


def _open() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class FakeGenerator:
    """Writes one query for each signal, once `gate` is open; `cancelled` counts departures."""

    gate: asyncio.Event = field(default_factory=_open)
    running: int = 0
    cancelled: int = 0

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        self.running += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        queries = tuple(Query(one.text) for one in request.signals[: request.max_queries])
        return QueryList(queries, QuerySource.FRESH if queries else QuerySource.NONE)


@dataclass
class FakeIndex:
    """Ten hits for every text; `broken` makes every call fail."""

    broken: bool = False
    filters: list[Filters] = field(default_factory=list)
    """Of the searches so far."""

    async def search(
        self, texts: Sequence[str], size: int, filters: Filters, until: float
    ) -> IndexAnswer:
        self._fail()
        self.filters.append(filters)
        return IndexAnswer(tuple(hits(text) for text in texts))

    async def popular(self, size: int, until: float) -> tuple[Hit, ...]:
        self._fail()
        return hits("popular")

    async def generation(self, until: float) -> str:
        self._fail()
        return "1"

    async def check(self, until: float) -> None:
        self._fail()

    async def close(self) -> None:
        pass

    def _fail(self) -> None:
        if self.broken:
            raise RetrievalUnavailable("the index is broken")


@dataclass
class FakeRetriever:
    """Searches the fake index, without a cache."""

    index: FakeIndex
    prepared: list[tuple[str, ...]] = field(default_factory=list)

    def prepare(self, queries: Sequence[Query], until: float) -> None:
        self.prepared.append(tuple(query.text for query in queries))

    async def search(
        self, queries: Sequence[Query], size: int, filters: Filters, until: float
    ) -> Retrieval:
        answer = await self.index.search([one.text for one in queries], size, filters, until)
        pairs = zip(queries, answer.hits, strict=True)
        return Retrieval(tuple(Run(query, found or ()) for query, found in pairs))


def hits(text: str) -> tuple[Hit, ...]:
    """Ten hits whose ids and titles name the text."""
    return tuple(
        Hit(f"{text}-{rank}", f"{text} story number {rank}", "world", 1_700_000_000_000, 1.0, 10.0)
        for rank in range(10)
    )


@dataclass
class FakeGateway:
    """The parts, to be scripted by a test, and the app over them."""

    folder: Path
    keys: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    capacity: int = 16
    max_body_bytes: int = 65_536
    body_timeout_s: float = 0.5
    access_log: bool = False
    open_metrics: bool = False
    operations_port: int | None = None
    tracing: Tracing = UNTRACED
    with_popular: bool = True
    store: FakeStore = field(default_factory=FakeStore)
    events: FakeEvents = field(default_factory=FakeEvents)
    generator: FakeGenerator = field(default_factory=FakeGenerator)
    spare: Generator = field(default_factory=NoEngine)
    index: FakeIndex = field(default_factory=FakeIndex)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    experiments: LiveExperiments = field(default_factory=LiveExperiments)
    prepared: list[tuple[str, ...]] = field(default_factory=list)
    """What the retriever was told to prepare for."""

    def app(self) -> FastAPI:
        """The application, to be run under its lifespan."""
        metrics = Metrics(self.registry, self.tracing)
        identity = Identity(b"secret")
        admission = Admission(self.capacity, refused=metrics.refused_for)

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            popular = PopularSnapshot(self.index, self.folder / "popular.json", 100, 60.0)
            if self.with_popular:
                await popular.start()
                while not (popular.available or self.index.broken):
                    await asyncio.sleep(0.001)
            student = ServingStudent(
                SPEC,
                lambda signals: Prompt((1, 2, 3), signals),
                lambda signals: "print",
                self.generator,
                self.spare,
            )
            chooser = Chooser(
                serving=lambda: Serving(
                    {SPEC.key: student, OTHER.key: replace(student, spec=OTHER)}, SPEC.key
                ),
                heuristic=HeuristicGenerator(),
                settings=PipelineSettings(200, 50, 4, 0.5, FusionSettings()),
                experiments=self.experiments,
            )
            steps = Steps(FakeRetriever(self.index, self.prepared), popular)
            shadows = Shadows(steps=steps, sink=self.events, metrics=metrics)
            pipeline = InterestPipeline(
                store=self.store,
                chooser=chooser,
                steps=steps,
                identity=identity,
                exposures=self.events,
                load=Load(admission),
                metrics=metrics,
            )
            app.state.context = Context(
                pipeline=pipeline,
                shadows=shadows,
                store=self.store,
                events=self.events,
                event_days=7,
                identity=identity,
                admission=admission,
                pace=self.pace,
                metrics=metrics,
                registry=self.registry,
                readiness=Readiness(
                    {"redis": self.store.check, "index": self.index.check},
                    frozenset({"index"}),
                    metrics,
                ),
                experiments=self.experiments,
                students=list,
            )
            yield
            await shadows.close()
            if self.with_popular:
                await popular.stop()

        return build_http(
            keys=KeyRing(
                {name: ((secret,), rights) for name, (secret, rights) in self.keys.items()},
                EVERYTHING,
            ),
            admission=admission,
            pace=self.pace,
            metrics=metrics,
            max_body_bytes=self.max_body_bytes,
            body_timeout_s=self.body_timeout_s,
            access_log=self.access_log,
            open_metrics=self.open_metrics,
            operations_port=self.operations_port,
            lifespan=lifespan,
        )


@asynccontextmanager
async def client_of(app: FastAPI, *, raise_errors: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, which runs meanwhile."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=raise_errors)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield client
