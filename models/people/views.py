"""The many ways in which written people and threads are seen: what a student is trained on. Pure.

There are a few hundred people, and a student would learn them by heart. So each is shown again and
again, never twice alike: over a shorter time, with fewer of their signals, without one of the
domains, with other people's errands, and with the interests of somebody else as well.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from models.people.records import Interest, Person, Thread, Trace
from service.records import DOMAINS, Article, Signal


@dataclass(frozen=True, slots=True)
class Seen:
    """A person as they are seen once."""

    id: str
    signals: tuple[Signal, ...]
    """Oldest first."""
    sources: tuple[int | None, ...]
    """The place in `interests` of what each signal stems from; None: noise."""
    interests: tuple[Interest, ...]


@dataclass(frozen=True, slots=True)
class Ways:
    """How often what is done to a person."""

    join: float = 0.4
    """Somebody else's interests are added."""
    shorten: float = 0.3
    """Only the newest signals are seen."""
    drop_domain: float = 0.2
    """One domain is not seen."""
    keep: float = 0.75
    """Of an interest's signals, each is seen this often; one of them always."""
    most_noise: float = 0.5
    """Share of noise among the signals, at the most; any share below is as likely."""
    most_interests: int = 6


_DAY_MS = 86_400_000
_DAYS = 40
"""Within so many days lies what somebody leaves who is put together out of threads."""
_THREADS = (1, 1, 2, 2, 3, 3, 4, 5)
"""How many threads run through somebody, each as likely."""

_Marked = tuple[Trace, Interest | None]


def views(
    people: Sequence[Person],
    articles: Mapping[str, Article],
    count: int,
    seed: int,
    ways: Ways | None = None,
) -> Iterator[Seen]:
    """So many views, everybody in turn. Without people there are none.

    `articles`, by id, are those that were clicked. The same seed gives the same views.
    """
    rng = random.Random(seed)
    noise = [trace for person in people for trace in person.traces if trace.interest is None]
    order: list[Person] = []
    for number in range(count if people else 0):
        if not order:
            order = rng.sample(list(people), len(people))
        person = order.pop()
        other = rng.choice(people)
        yield _seen(person, other, noise, articles, number, rng, ways or Ways())


def thread_views(
    threads: Sequence[Thread],
    noise: Sequence[Trace],
    count: int,
    seed: int,
    ways: Ways | None = None,
) -> Iterator[Seen]:
    """So many people put together out of threads, each in turn, with errands out of `noise`.

    Without threads there are none. The same seed gives the same views.
    """
    rng, ways = random.Random(seed), ways or Ways()
    order: list[Thread] = []
    for number in range(count if threads else 0):
        chosen: list[Thread] = []
        for _ in range(rng.choice(_THREADS)):
            if not order:
                order = rng.sample(list(threads), len(threads))
            chosen.append(order.pop())
        marked: list[_Marked] = []
        for thread in dict.fromkeys(chosen):
            interest = Interest(thread.query, thread.query)
            last = rng.random() ** 2 * _DAYS / 2
            for domain, text in thread.traces:
                ago = last + rng.random() ** 2 * _DAYS / 2
                at_ms = int((_DAYS - ago) * _DAY_MS)
                marked.append((Trace(at_ms, domain, text, None, None), interest))
        marked = _thinned(marked, rng, ways)
        times = [trace.at_ms for trace, _ in marked]
        many = min(_share_of(len(marked), rng, ways), len(noise))
        marked += [
            (replace(trace, at_ms=rng.choice(times)), None)
            for trace in rng.sample(list(noise), many)
            if trace.article is None
        ]
        yield _of(f"threads~{number}", _shortened(marked, rng, ways), {})


def as_written(person: Person, articles: Mapping[str, Article]) -> Seen:
    """A person with everything that they left."""
    marked = [
        (trace, None if trace.interest is None else person.interests[trace.interest])
        for trace in person.traces
    ]
    return _of(person.id, marked, articles)


def _seen(
    person: Person,
    other: Person,
    noise: Sequence[Trace],
    articles: Mapping[str, Article],
    number: int,
    rng: random.Random,
    ways: Ways,
) -> Seen:
    chosen = _interests_of(person, person, rng)
    if other is not person and rng.random() < ways.join:
        chosen += _interests_of(other, person, rng)
        rng.shuffle(chosen)
    marked: list[_Marked] = [
        (trace, interest) for interest, traces in chosen[: ways.most_interests] for trace in traces
    ]
    marked = _thinned(marked, rng, ways)
    marked += [(trace, None) for trace in _errands(person, noise, len(marked), rng, ways)]
    return _of(f"{person.id}~{number}", _shortened(marked, rng, ways), articles)


def _thinned(marked: Sequence[_Marked], rng: random.Random, ways: Ways) -> list[_Marked]:
    """Some of the signals of each interest, one at the least, and perhaps none of one domain."""
    kept: list[_Marked] = []
    for interest in dict.fromkeys(interest for _, interest in marked):
        own = [one for one in marked if one[1] == interest]
        kept += [one for one in own if rng.random() < ways.keep] or [rng.choice(own)]
    if rng.random() < ways.drop_domain:
        domain = rng.choice(DOMAINS)
        return [one for one in kept if one[0].domain != domain] or kept
    return kept


def _shortened(marked: Sequence[_Marked], rng: random.Random, ways: Ways) -> list[_Marked]:
    """Oldest first, and perhaps the newest alone."""
    ordered = sorted(marked, key=lambda one: one[0].at_ms)
    return ordered[-rng.randint(1, len(ordered)) :] if rng.random() < ways.shorten else ordered


def _share_of(beside: int, rng: random.Random, ways: Ways) -> int:
    """How many errands stand beside so many signals."""
    share = rng.uniform(0, ways.most_noise)
    return round(beside * share / max(1 - share, 0.1))


def _interests_of(
    person: Person, now_of: Person, rng: random.Random
) -> list[tuple[Interest, list[Trace]]]:
    """Some of a person's interests with their signals, as long before `now_of`'s now as they were
    before their own."""
    most = rng.randint(1, len(person.interests))
    moved = now_of.now_ms - person.now_ms
    found = []
    for place in rng.sample(range(len(person.interests)), most):
        traces = [trace for trace in person.traces if trace.interest == place]
        if traces:
            late = [replace(trace, at_ms=trace.at_ms + moved) for trace in traces]
            found.append((person.interests[place], late))
    return found


def _errands(
    person: Person, noise: Sequence[Trace], beside: int, rng: random.Random, ways: Ways
) -> list[Trace]:
    """Their own errands first, then other people's, up to a share that is drawn."""
    many = _share_of(beside, rng, ways)
    own = [trace for trace in person.traces if trace.interest is None]
    rng.shuffle(own)
    taken = own[:many]
    if len(taken) < many and noise:
        times = [trace.at_ms for trace in person.traces]
        others = rng.sample(noise, min(many - len(taken), len(noise)))
        taken += [replace(trace, at_ms=rng.choice(times)) for trace in others]
    return taken


def _of(id_: str, marked: Sequence[_Marked], articles: Mapping[str, Article]) -> Seen:
    """The interests of which something is seen, the one with most signals first."""
    counted = Counter(interest for _, interest in marked if interest is not None)
    newest = {interest: at for at, (_, interest) in enumerate(marked) if interest is not None}
    interests = tuple(sorted(counted, key=lambda one: (-counted[one], -newest[one])))
    signals, sources = [], []
    for number, (trace, interest) in enumerate(marked):
        text = articles[trace.article].title if trace.article else trace.text
        signals.append(Signal(trace.at_ms, trace.domain, text, f"{id_}-{number}", trace.article))
        sources.append(None if interest is None else interests.index(interest))
    return Seen(id_, tuple(signals), tuple(sources), interests)
