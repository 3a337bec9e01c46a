"""What can be seen in the lists themselves: are they lists, whose, and at what cost. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from models.engine.asking import Answer
from service.records import Query, Signal
from service.words.text import stems

_REFERENCE = re.compile(r"\s*#\d{1,4}(?:[\s,;&]+#\d{1,4})*\s*")


def list_figures(
    users: Mapping[str, Sequence[Signal]], lists: Mapping[str, Sequence[Query]]
) -> dict[str, float]:
    """Figures over the lists of users, by user id; shares are from 0 to 1.

    - valid: users with a list among the users with signals.
    - queries: queries in a list, over the valid ones, as are the others.
    - distinct_lists: different lists over lists; 1 where no two users got the same.
    - copied: queries with the same stems as one of the user's signals, references included.
    - repeated_stems: stems that an earlier query of the same list holds already, over all stems.
    """
    asked = [name for name, signals in users.items() if signals]
    given = {name: lists[name] for name in asked if lists.get(name)}
    total = copied = words = repeated = 0
    for name, queries in given.items():
        own = {stems(signal.text) for signal in users[name]}
        seen: set[str] = set()
        for query in queries:
            said = stems(query.text)
            total += 1
            copied += said in own
            words += len(said)
            repeated += len(said & seen)
            seen |= said
    different = {tuple(query.text for query in queries) for queries in given.values()}
    return {
        "valid": len(given) / max(1, len(asked)),
        "queries": total / max(1, len(given)),
        "distinct_lists": len(different) / max(1, len(given)),
        "copied": copied / max(1, total),
        "repeated_stems": repeated / max(1, words),
    }


def origin_figures(
    users: Mapping[str, Sequence[Signal]],
    sources: Mapping[str, Sequence[int | None]],
    lists: Mapping[str, Sequence[Query]],
) -> dict[str, float]:
    """What the words of lists come from, where it is known: of simulated and of demo users.

    `sources` holds for each signal of a user the interest behind it, None for noise. A word belongs
    to an interest, or to noise, when no other signal of the user says it.

    - noise: queries with a word that belongs to noise, over all queries.
    - joined: queries with words that belong to two interests, over all queries.
    - covered: interests with a word in a query, over those of two signals or more of any age.
    """
    total = noise = joined = known = covered = 0
    for name, signals in users.items():
        told: dict[int | None, set[str]] = {}
        for signal, source in zip(signals, sources[name], strict=True):
            told.setdefault(source, set()).update(stems(signal.text))
        owner = {
            stem: source
            for source, words in told.items()
            for stem in words.difference(*(told[other] for other in told if other != source))
        }
        named: set[int | None] = set()
        for query in lists.get(name, ()):
            of = {owner[stem] for stem in stems(query.text) if stem in owner}
            total += 1
            noise += None in of
            joined += len(of - {None}) > 1
            named |= of
        often = {k for k, many in Counter(sources[name]).items() if k is not None and many > 1}
        known += len(often)
        covered += len(often & named)
    return {
        "noise": noise / max(1, total),
        "joined": joined / max(1, total),
        "covered": covered / max(1, known),
    }


def named_figures(
    users: Mapping[str, Sequence[Signal]],
    sources: Mapping[str, Sequence[int | None]],
    lists: Mapping[str, Sequence[Query]],
) -> dict[str, float]:
    """How well lists tell signals of an interest from noise, where `sources` knows which are.

    A signal is named when a query credits it. A share is over all signals of the users, of any age
    (a prompt does not show the oldest of many); 0 where there are none.

    - interest_named, noise_named: of the signals behind which is an interest, and of noise.
    - headlines_named, noise_headlines_named: the same of clicked headlines alone.
    """
    counted: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for name, signals in users.items():
        credited = {id_ for query in lists.get(name, ()) for id_ in query.signals}
        for signal, source in zip(signals, sources[name], strict=True):
            kinds = ["noise_named" if source is None else "interest_named"]
            if signal.domain == "news":
                kinds.append("noise_headlines_named" if source is None else "headlines_named")
            counted.update(kinds)
            if signal.id in credited:
                named.update(kinds)
    names = ("interest_named", "noise_named", "headlines_named", "noise_headlines_named")
    return {name: named[name] / max(1, counted[name]) for name in names}


def answer_figures(answers: Mapping[str, Answer]) -> dict[str, float]:
    """Figures of an engine's answers; all 0 for no answers.

    - references: lines that are `#<n>` alone, over all lines written.
    - output_tokens: tokens written for a user, all samples together, on average.
    - latency_p50_s, latency_p95_s: seconds of a call, with the other users in flight.
    """
    if not answers:
        return dict.fromkeys(("references", "output_tokens", "latency_p50_s", "latency_p95_s"), 0.0)
    lines = [
        line
        for answer in answers.values()
        for sample in answer.completion.samples
        for line in sample.text.splitlines()
        if line.strip()
    ]
    seconds = [answer.seconds for answer in answers.values()]
    p50, p95 = np.percentile(seconds, [50, 95])
    tokens = [answer.completion.output_tokens for answer in answers.values()]
    return {
        "references": sum(bool(_REFERENCE.fullmatch(line)) for line in lines) / max(1, len(lines)),
        "output_tokens": float(np.mean(tokens)),
        "latency_p50_s": float(p50),
        "latency_p95_s": float(p95),
    }
