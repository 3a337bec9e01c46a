"""The frozen records that flow through a request.

Times are integers in milliseconds since the Unix epoch (`*_ms`).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Domain = Literal["search", "browse", "purchase", "video", "news"]
DOMAINS: tuple[Domain, ...] = ("search", "browse", "purchase", "video", "news")

Origin = Literal["student", "signal", "heuristic"]
"""Who wrote a query: the student, the user (the telling words of a signal), or the heuristic."""

Vectors: TypeAlias = "npt.NDArray[np.float32]"
"""Texts as an encoder sees them, (texts, dimension), rows of length 1: a product is a cosine."""

TextRole = Literal["query", "article"]
"""What an encoded text is: some encoders were trained with a prefix for each."""


class QuerySource(StrEnum):
    """The rung of the ladder that the queries came from, best first."""

    REUSED = "reused"
    FRESH = "fresh"
    STALE = "stale"
    HEURISTIC = "heuristic"
    NONE = "none"


class CandidateSource(StrEnum):
    """The rung of the ladder that the candidates came from, best first."""

    SEARCH = "search"
    POPULAR = "popular"


PlacedBy = Literal["score", "query", "own", "category"]
"""Why a candidate stands where it does: its score; its query had no place yet; others of the
category of those with a higher score had places enough."""


class Degraded(StrEnum):
    """Every reason that `degraded` may hold. Closed: clients may switch over it."""

    NO_SIGNALS = "no_signals"
    SIGNALS_UNAVAILABLE = "signals_unavailable"
    SIGNALS_CORRUPT = "signals_corrupt"
    GENERATION_TIMEOUT = "generation_timeout"
    GENERATION_UNAVAILABLE = "generation_unavailable"
    GENERATION_OVERLOADED = "generation_overloaded"
    GENERATION_INVALID = "generation_invalid"
    GENERATION_PARTIAL = "generation_partial"
    RETRIEVAL_TIMEOUT = "retrieval_timeout"
    RETRIEVAL_UNAVAILABLE = "retrieval_unavailable"
    RETRIEVAL_PARTIAL = "retrieval_partial"
    ENCODER_UNAVAILABLE = "encoder_unavailable"
    NO_CANDIDATES = "no_candidates"


# --- signals ---------------------------------------------------------------------------------


@dataclass(slots=True, unsafe_hash=True)
class Signal:
    """One event of one user in one domain. Not frozen for the same reason as `Hit`."""

    at_ms: Final[int]
    domain: Final[Domain]
    text: Final[str]
    id: Final[str]
    item: Final[str | None] = None
    category: Final[str | None] = None
    weight: Final[float] = 1.0


@dataclass(frozen=True, slots=True)
class KeptList:
    """A list of queries written earlier for this user, with what it was written from."""

    student: str
    """Key of the student, template and decoding that wrote it: see `StudentSpec.list_key`."""
    fingerprint: str
    made_at_ms: int
    """When the signals that it was written from were read."""
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class UserState:
    """What one round trip to the signal store brings: signals oldest first, and kept lists."""

    signals: tuple[Signal, ...] = ()
    kept: tuple[KeptList, ...] = ()
    corrupt: int = 0
    """Stored entries that could not be read and were passed over."""
    read_at_ms: int = 0
    """When it was read, by the store's own clock; 0: it was not."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of signals that were sent to the store."""

    stored: int
    """New, and kept."""
    repeated: int
    """Known already."""
    dropped: int
    """Not newer than the user's deletion, or older than all that is kept."""


# --- generation ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt: token ids as the engine gets them, and the signals it shows.

    `shown[i]` is the signal with number `i + 1` in the prompt: an output line may refer to it.
    """

    token_ids: tuple[int, ...]
    shown: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How the student samples. `n` samples are merged by consensus."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 64
    n: int = 1
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StudentSpec:
    """What a request needs to know of the student that serves it."""

    name: str
    version: str
    model: str
    """The model name that its engines serve; an engine serving another is refused."""
    template: str
    """Name and digest of the template, part of the key of kept lists."""
    prompt_budget: int
    """Tokens that a prompt may hold at the most."""
    decoding: Decoding
    timeout_ms: int

    @property
    def key(self) -> str:
        """`name@version`: how requests, metrics and logs name a student."""
        return f"{self.name}@{self.version}"

    @property
    def list_key(self) -> str:
        """Key of the kept lists this student may reuse: anything that changes the list is in it."""
        d = self.decoding
        stop = zlib.crc32("\0".join(d.stop).encode())
        decoding = (
            f"t{d.temperature:g}p{d.top_p:g}m{d.max_tokens}n{d.n}r{d.repetition_penalty:g}s{stop:x}"
        )
        return f"{self.key}/{self.template}/{decoding}"


@dataclass(frozen=True, slots=True)
class Query:
    """A news search query. Weights are positive; their scale is the fusion's business."""

    text: str
    weight: float = 1.0
    origin: Origin = "student"
    signals: tuple[str, ...] = ()
    """Ids of the signals it is known to stem from (a referred or copied one); may be empty."""
    said: str = ""
    """The words of the signal that it repeats, where it repeats one."""

    @property
    def meaning(self) -> str:
        """What is encoded: encoders know whole sentences better than words out of them."""
        return self.said or self.text


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One user's turn: what to generate from, and what may be reused or kept."""

    user_id: str
    student: StudentSpec
    signals: tuple[Signal, ...]
    prompt: Prompt
    fingerprint: str
    max_queries: int
    read_at_ms: int
    """When the user's state was read, by the store's clock: a list is as old as the signals it was
    written from, and one begun before a deletion must not outlive it. 0: it was not read."""
    kept: tuple[KeptList, ...] = ()
    may_keep: bool = True
    """False for lists made with inline signals or by an override: those are never written."""


@dataclass(frozen=True, slots=True)
class QueryList:
    """The queries of a request, the rung they came from, and what went wrong on the way."""

    queries: tuple[Query, ...]
    source: QuerySource
    degraded: tuple[Degraded, ...] = ()


# --- retrieval -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Article:
    """A news article as it is loaded into the index."""

    id: str
    title: str
    abstract: str = ""
    body: str = ""
    category: str = ""
    entities: tuple[str, ...] = ()
    published_ms: int = 0
    popularity: float = 0.0


class Headline(NamedTuple):
    """What a list shows of an article."""

    id: str
    title: str
    category: str
    published_ms: int
    """0 where it is unknown."""
    popularity: float


@dataclass(slots=True, unsafe_hash=True)
class Hit:
    """An article as a search finds it; `score` is the index's own.

    Searched by words it is BM25, 0 or more; searched by meaning it is the cosine, -1 to 1.

    A request makes thousands, and a frozen one takes five times as long to make. That nobody
    changes one is held by its types.
    """

    id: Final[str]
    title: Final[str]
    category: Final[str]
    published_ms: Final[int]
    popularity: Final[float]
    score: Final[float]

    @property
    def headline(self) -> Headline:
        """The article without the score."""
        return Headline(self.id, self.title, self.category, self.published_ms, self.popularity)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a hit must satisfy. Both moments are floored to the minute, so caches work."""

    published_after_ms: int | None = None
    """None before it, nor of an unknown date."""
    published_until_ms: int | None = None
    """None after it; those of an unknown date stay."""


@dataclass(frozen=True, slots=True)
class Run:
    """The hits of one query, best first. `ok` is False where the query failed or was cut off.

    `hits` were found by words, `near` by meaning; none are near where there was no vector.
    """

    query: Query
    hits: Sequence[Hit]
    ok: bool = True
    near: Sequence[Hit] = ()


@dataclass(frozen=True, slots=True)
class Retrieval:
    """All runs of a request, in the order of its queries, and how much of the index answered."""

    runs: tuple[Run, ...]
    shards_ok: int = 1
    shards_total: int = 1
    degraded: tuple[Degraded, ...] = ()
    kept: bool = False
    """Whether this very object answers the same queries again, for as long as it may."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as the encoder `key` sees them, one row a text."""

    key: str
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class IndexAnswer:
    """Hits per text, in order; None where that text's search failed.

    `near` are the hits by meaning, in the same order, where vectors were given that the index
    can be searched by; else it is empty.
    """

    hits: tuple[Sequence[Hit] | None, ...]
    shards_ok: int = 1
    shards_total: int = 1
    timed_out: bool = False
    odd: int = 0
    """Articles that are not as our mapping says, or stand there twice: what could be was used."""
    near: tuple[Sequence[Hit], ...] = ()
    encoder: str = ""
    """What the index's own vectors are made by, `name@version`; empty where it holds none."""
    unencoded: bool = False
    """Whether hits by meaning are missing because of the encoder."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What is wrong with an index that answers all the same, and what to do about it."""

    says: str
    remedy: str


@dataclass(slots=True, unsafe_hash=True)
class Candidate:
    """An article for the recommender, with the queries that found it.

    `matched[i]` is an index into the request's queries; `ranks[i]` its 1-based rank there. Not
    frozen for the same reason as `Hit`.
    """

    article: Final[Headline]
    score: Final[float]
    matched: Final[tuple[int, ...]] = ()
    ranks: Final[tuple[int, ...]] = ()
    placed_by: Final[PlacedBy] = "score"
    origin: Final[CandidateSource] = CandidateSource.SEARCH


# --- the request -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InterestRequest:
    """A validated call of `POST /v1/interests`."""

    user_id: str
    limit: int = 100
    max_queries: int = 8
    signals: tuple[Signal, ...] = ()
    exclude_ids: frozenset[str] = frozenset()
    max_age_hours: float | None = None
    variant: str | None = None
    timeout_ms: int | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds spent in each stage, as the response shows them."""

    signals: float = 0.0
    generate: float = 0.0
    retrieve: float = 0.0
    fuse: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Placement:
    """A user's place in an experiment, and what the answer really was."""

    key: str
    layer: str
    assigned: str
    """The arm."""
    served: str
    """The same arm, or what was served in its place: see `service/choice.py`."""
    reason: str | None = None
    """Never None where `served` is not `assigned`."""


@dataclass(frozen=True, slots=True)
class InterestAnswer:
    """What the pipeline answers: candidates, the queries that found them, and how it was made."""

    request_id: str
    user_id: str
    student: StudentSpec
    queries_from: QuerySource
    candidates_from: CandidateSource
    degraded: tuple[Degraded, ...]
    runs: tuple[Run, ...]
    candidates: tuple[Candidate, ...]
    timings: Timings
    shards_ok: int = 0
    shards_total: int = 0
    signals: tuple[Signal, ...] = ()
    """Those it was made from."""
    experiments: tuple[Placement, ...] = ()
    shown: tuple[Signal, ...] = field(default=())
    """Those that the student saw."""
    written: tuple[Query, ...] = ()
    """The list before own signals were set beside it."""


@dataclass(frozen=True, slots=True)
class ShadowAnswer:
    """What a shadow arm would have answered to a request that was answered otherwise."""

    request_id: str
    """Of the answer that was served."""
    user_id: str
    read_at_ms: int
    """No later than when the user's signals were read: what was deleted since is not noted."""
    key: str
    """The experiment."""
    layer: str
    arm: str
    student: StudentSpec
    queries_from: QuerySource
    candidates_from: CandidateSource
    degraded: tuple[Degraded, ...]
    runs: tuple[Run, ...]
    candidates: tuple[Candidate, ...]
    timings: Timings
