"""What has to hold of all people together, and of their judgements. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.people.records import JUDGED, SPLITS, Judgement, Person, Split, Thread
from service.records import Article, Vectors
from service.words.text import stems

WITHOUT_NEWS = 1 / 3
"""Of the people of a split have no news click, at the least."""
COLD = 1 / 6
"""Of them have no more than three signals, at the least."""
COLD_SIGNALS = 3
NOISE = (0.25, 0.5)
"""Share of errands and noise in the signals of those who are not cold, over a split."""
QUERY_WORDS = (2, 8)
NEAR = 0.75
"""Cosine from which two queries are one interest, as all-MiniLM-L6-v2 sees them."""
TWICE = 0.15
"""Of the judgements are made twice, at the least."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What a split is made of."""

    people: int
    interests: int
    traces: int
    without_news: float
    cold: float
    noise: float
    """Over the signals of those who are not cold."""


def cold(person: Person) -> bool:
    """Whether so little is known of a person that most systems guess."""
    return len(person.traces) <= COLD_SIGNALS


def without_news(person: Person) -> bool:
    """Whether a person clicked no article."""
    return not any(trace.article for trace in person.traces)


def shares(people: Sequence[Person]) -> Shares:
    """Count a split; of nobody all shares are 0."""
    many = max(1, len(people))
    warm = [trace for person in people if not cold(person) for trace in person.traces]
    return Shares(
        people=len(people),
        interests=sum(len(person.interests) for person in people),
        traces=sum(len(person.traces) for person in people),
        without_news=sum(map(without_news, people)) / many,
        cold=sum(map(cold, people)) / many,
        noise=sum(trace.interest is None for trace in warm) / max(1, len(warm)),
    )


def people_problems(
    splits: Mapping[Split, Sequence[Person]], articles: Mapping[str, Article]
) -> Iterator[str]:
    """What is wrong with the people, each with file, line and remedy."""
    for split, people in splits.items():
        for person in people:
            for problem in _person_problems(person, articles):
                yield f"{split}.jsonl:{person.line}: {problem}"
        yield from _share_problems(split, shares(people))
    yield from _leaks(splits)


def thread_problems(
    threads: Sequence[Thread], splits: Mapping[Split, Sequence[Person]]
) -> Iterator[str]:
    """What is wrong with the threads: above all, what they give away of people who are judged."""
    judged = {
        stems(interest.query): f"{person.id} in {split}.jsonl"
        for split in JUDGED
        for person in splits.get(split, ())
        for interest in person.interests
    }
    lines: dict[frozenset[str], int] = {}
    fewest, most = QUERY_WORDS
    for thread in threads:
        where, key = f"threads.jsonl:{thread.line}: query", stems(thread.query)
        if not fewest <= len(thread.query.split()) <= most:
            yield f"{where}: {thread.query!r} has not {fewest} to {most} words"
        if key in judged:
            yield f"{where}: {thread.query!r} is an interest of {judged[key]}; remove the thread"
        if (before := lines.setdefault(key, thread.line)) != thread.line:
            yield f"{where}: {thread.query!r} stands in line {before} already; remove one of them"


def near_problems(
    splits: Mapping[Split, Sequence[Person]],
    threads: Sequence[Thread],
    encode: Callable[[Sequence[str]], Vectors],
) -> Iterator[str]:
    """Interests of training, and of tuning, that come near to one that is judged after them.

    `encode` gives each text a row of length 1. Same words are not all: "women behind cameras" gives
    away "female directors".
    """
    rows: dict[Split, list[tuple[str, str]]] = {
        split: [
            (f"{split}.jsonl:{person.line}: interests: {interest.query!r}", interest.query)
            for person in splits.get(split, ())
            for interest in person.interests
        ]
        for split in SPLITS
    }
    rows["train"] += [
        (f"threads.jsonl:{thread.line}: query: {thread.query!r}", thread.query)
        for thread in threads
    ]
    held: list[tuple[str, str]] = []
    for split in ("test", "tune", "train"):
        mine = rows[split]
        if mine and held:
            near = encode([text for _, text in mine]) @ encode([text for _, text in held]).T
            for (where, _), cosines in zip(mine, near, strict=True):
                if cosines.max() >= NEAR:
                    other, _ = held[int(cosines.argmax())]
                    yield f"{where} is near {other} ({cosines.max():.2f}); take it out here"
        held += mine


def judgement_problems(
    split: Split,
    people: Sequence[Person],
    judgements: Sequence[Judgement],
    again: Sequence[Judgement],
    articles: Mapping[str, Article],
) -> Iterator[str]:
    """What is wrong with the judgements of a split, each with its remedy."""
    known = {person.id: person for person in people}
    for name, part in ((f"{split}.qrels", judgements), (f"{split}.again.qrels", again)):
        for line, one in enumerate(part, 1):
            where = f"{name}:{line}: {one.person} {one.article}"
            if (person := known.get(one.person)) is None:
                yield f"{where}: nobody in {split}.jsonl has this id; remove the line"
            elif one.interest > len(person.interests):
                yield f"{where}: they have {len(person.interests)} interests, not {one.interest}"
            elif (article := articles.get(one.article)) is None:
                yield f"{where}: no article has this id; remove the line"
            elif article.published_ms <= person.now_ms:
                yield f"{where}: the article is from before the person's now; remove the line"
    for missing in known.keys() - {one.person for one in judgements}:
        yield f"{split}.qrels: {missing} has no judgement; judge their pool"
    if len(again) < TWICE * len(judgements):
        yield (
            f"{split}.again.qrels: {len(again):,} of {len(judgements):,} are judged twice; "
            f"at least {TWICE:.0%} have to be"
        )


def query_problems(
    split: Split, people: Sequence[Person], judgements: Sequence[Judgement], *, again: bool = False
) -> Iterator[str]:
    """What is wrong with the judgements of the editor's queries, `query-N` for interest N."""
    known = {person.id: person for person in people}
    name = f"{split}.queries{'.again' if again else ''}.qrels"
    for line, one in enumerate(judgements, 1):
        person = known.get(one.person)
        if person is None:
            yield f"{name}:{line}: nobody in {split}.jsonl is {one.person}; remove the line"
        elif not 1 <= one.interest <= len(person.interests):
            yield f"{name}:{line}: {one.person} has {len(person.interests)} interests"
        elif one.article != f"query-{one.interest}":
            yield f"{name}:{line}: {one.article} has to be query-{one.interest}"


def _person_problems(person: Person, articles: Mapping[str, Article]) -> Iterator[str]:
    for number, trace in enumerate(person.traces):
        if trace.article is None:
            continue
        if (article := articles.get(trace.article)) is None:
            yield f"signals.{number}.article: no article has the id {trace.article}; give another"
        elif article.published_ms > trace.at_ms:
            yield (
                f"signals.{number}.article: {trace.article} was published after the click; "
                "move the click, or give another article"
            )
    named = {trace.interest for trace in person.traces}
    fewest, most = QUERY_WORDS
    for place, interest in enumerate(person.interests):
        if place not in named:
            yield f"interests.{place}: no signal stems from {interest.name!r}; add one, or drop it"
        if not fewest <= len(interest.query.split()) <= most:
            yield (f"interests.{place}.query: {interest.query!r} has not {fewest} to {most} words")


def _share_problems(split: Split, found: Shares) -> Iterator[str]:
    if found.without_news < WITHOUT_NEWS:
        yield (
            f"{split}.jsonl: {found.without_news:.0%} of the people have no news click, and at "
            f"least {WITHOUT_NEWS:.0%} have to; write more of them"
        )
    if found.cold < COLD:
        yield (
            f"{split}.jsonl: {found.cold:.0%} of the people have one to three signals, and at "
            f"least {COLD:.0%} have to; write more of them"
        )
    low, high = NOISE
    if not low <= found.noise <= high:
        yield f"{split}.jsonl: {found.noise:.0%} of the signals are noise, not {low:.0%}–{high:.0%}"


def _leaks(splits: Mapping[Split, Sequence[Person]]) -> Iterator[str]:
    """People and interests that stand in two splits: by id, by the words of the query. (A name is
    the writer's own: two people's "ballot" may be two interests.)"""
    ids: dict[str, Split] = {}
    told: dict[object, tuple[Split, str]] = {}
    for split in (*JUDGED, "train"):
        for person in splits.get(split, ()):
            where = f"{split}.jsonl:{person.line}"
            if ids.setdefault(person.id, split) != split:
                yield f"{where}: id: {person.id} is in {ids[person.id]}.jsonl too; give another id"
            for interest in person.interests:
                other, of = told.setdefault(stems(interest.query), (split, person.id))
                if other != split:
                    yield (
                        f"{where}: interests: {interest.query!r} is an interest of {of} in "
                        f"{other}.jsonl; a split may not know another's: change it here"
                    )
