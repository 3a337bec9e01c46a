"""The grammar: how a story line becomes headlines, abstracts and bodies. Pure functions of a story,
a moment in it, and a random source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from models.demo.material import Story
from models.demo.verbs import Event, sentence_case

_LATER = (
    "The announcement came after {before}.",
    "It follows weeks in which {before}.",
    "Earlier, {told}.",
    "Some time before that, {told}.",
    "That was already in the air when {told}.",
    "The background is well known here, as {before}.",
    "The story took its present turn when {told}.",
    "Readers may remember that {told}.",
)
_LEDE = (
    "{Told}.",
    "{Perfect}.",
    "{Told}, in the latest turn of the {topic}.",
    "{Perfect}, a step that {affected} had been waiting to see.",
    "In news that touches {affected}, {told}.",
    "{Told}, it was confirmed this week.",
    "After days of rumour it is official, as {told}.",
)
_TERM = (
    "Much now depends on the {term}.",
    "Nobody involved wants to talk about the {term} yet.",
    "The {term} and the {term2} will be looked at next.",
    "Conversations keep coming back to the {term}.",
    "Attention has moved from the {term} to the {term2}.",
    "What happens to the {term} is still open.",
    "Two questions remain, the {term} and the {term2}.",
    "For {affected}, the {term} is what counts.",
    "A short report on the {term} is due before the month is out.",
)
_QUOTE = (
    '"{Quote}," said {name}, {role}.',
    '"{Quote}," {name}, {role}, told us.',
    '{name}, {role}, put it this way: "{Quote}."',
    'Asked about it, {name}, {role}, said: "{Quote}."',
    '"{Quote}," was how {name}, {role}, summed it up.',
    '{name}, {role}, was blunt: "{Quote}."',
    '"{Quote}," {name}, {role}, said on the phone.',
)
_ASK = (
    "The question is {ask}.",
    "What {affected} ask is {ask}.",
    "Few can say {ask}.",
    "We set out to learn {ask}.",
    "It is far from settled {ask}.",
)

_REACTION_TITLES = (
    "{Affected} divided over the {topic}",
    "{Affected} speak out on the {topic}",
    "{Affected} want answers on the {topic}",
    "Hope and doubt among {affected} over the {topic}",
    "{Affected} give their verdict on the {topic}",
)
_QUOTE_TITLES = (
    "'{Quote}': {speaker} on the {topic}",
    "'{Quote}', says {speaker}",
    "{surname} on the {topic}: '{quote}'",
)
_ANALYSIS_TITLES = (
    "Analysis: {ask}",
    "{Topic}: {ask}",
    "{Ask}, and why it is hard to tell",
    "Behind the {topic}: {ask}",
)
_EXPLAINER_TITLES = (
    "{Topic} explained: from {term} to {term2}",
    "What we know about the {topic}",
    "Explainer: the {topic} and {ask}",
    "{Topic}: the questions {affected} ask most",
    "A short guide to the {topic}",
    "The {topic}, step by step",
)
_PROFILE_TITLES = (
    "{name}, the name behind the {topic}",
    "Profile: {name}, {title}",
    "A day with {name}, {title}",
    "How {name} came to the {topic}",
    "Meet {name}, {title}",
)
_IMPACT_TITLES = (
    "What the {topic} means for {affected}",
    "How the {topic} changes things for {affected}",
    "{Topic}: what {affected} should know",
    "The {term} on their minds: {affected} and the {topic}",
    "Why the {term} matters most to {affected}",
)
_NUMBERS_TITLES = (
    "The {topic} in figures",
    "{Topic}: five numbers to remember",
    "Counting up the {topic}",
    "{Topic} by the numbers",
)
_NEXT_TITLES = (
    "After the {topic}, eyes turn to the {term}",
    "What comes next for the {topic}",
    "{Topic}: next test is the {term}",
    "The weeks ahead: {topic} faces questions over the {term}",
)
KINDS = ("reaction", "quote", "analysis", "explainer", "profile", "impact", "numbers", "next")
"""What is written about a story beside the plain news of its events."""
_FRAMES = {
    "reaction": _REACTION_TITLES,
    "quote": _QUOTE_TITLES,
    "analysis": _ANALYSIS_TITLES,
    "explainer": _EXPLAINER_TITLES,
    "profile": _PROFILE_TITLES,
    "impact": _IMPACT_TITLES,
    "numbers": _NUMBERS_TITLES,
    "next": _NEXT_TITLES,
}
_HEADLINE_CHARS = 110


@dataclass(frozen=True, slots=True)
class Piece:
    """The words of one article."""

    title: str
    abstract: str
    body: str

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.title} {self.abstract} {self.body}"


def write(story: Story, kind: str, stage: int, rng: Random) -> Piece:
    """Write one article of `kind` ("news" or one of `KINDS`) after event number `stage` (from 0).

    The abstract has two or three sentences, the body three to six; they share none.
    """
    event = story.events[stage]
    facts = rng.sample(story.facts, len(story.facts))
    spoken = rng.sample(range(len(story.quotes)), len(story.quotes))
    if kind == "profile":
        spoken.sort(key=lambda quote: quote % len(story.who) != 0)
    title = _title(story, kind, event, spoken[0], rng)
    lede = (
        _fill(rng.choice(_ledes(story, event)), story, rng, event)
        if kind in {"news", "reaction", "next"}
        else _fill(rng.choice(_ASK), story, rng, event)
    )
    abstract = [lede, _full_stop(facts.pop())]
    if kind in {"explainer", "numbers"} or rng.random() < 0.3:
        abstract.append(_fill(rng.choice(_TERM), story, rng, event))
    earlier = story.events[rng.randrange(stage)] if stage else None
    body = [_full_stop(facts.pop())]
    if kind not in {"news", "reaction", "next"}:
        body.append(_fill("{Told}.", story, rng, event))
    elif earlier is not None:
        body.append(_fill(rng.choice(_LATER), story, rng, earlier))
    body.append(_quoted(story, spoken[0], rng))
    if facts and (kind == "numbers" or rng.random() < 0.6):
        body.append(_full_stop(facts.pop()))
    others = [q for q in spoken if (q - spoken[0]) % len(story.who)]
    if kind in {"reaction", "profile"} and others:
        body.append(_quoted(story, others[0], rng))
    elif rng.random() < 0.5:
        body.append(_fill(rng.choice(_TERM), story, rng, event))
    if len(body) < 3 or (len(body) < 6 and rng.random() < 0.8):
        body.append(_fill(rng.choice(story.angles), story, rng, event))
    return Piece(title, " ".join(abstract), " ".join(body))


def _ledes(story: Story, event: Event) -> list[str]:
    """The ledes that fit: those who are affected are not told what they did themselves."""
    theirs = event.subject in story.affected or story.affected in event.subject
    return [lede for lede in _LEDE if not (theirs and "{affected}" in lede)]


def _title(story: Story, kind: str, event: Event, quote: int, rng: Random) -> str:
    if kind == "news":
        return event.headline()
    frames = list(_FRAMES[kind])
    rng.shuffle(frames)
    made = (_fill(frame, story, rng, event, quote) for frame in frames)
    fitting = [title for title in made if len(title) <= _HEADLINE_CHARS]
    return fitting[0] if fitting else f"{sentence_case(story.topic)}: {event.headline()}"


def _quoted(story: Story, quote: int, rng: Random) -> str:
    return _fill(rng.choice(_QUOTE), story, rng, story.events[0], quote)


def _fill(frame: str, story: Story, rng: Random, event: Event, quote: int = 0) -> str:
    """Fill a frame's places. A place that starts with a capital begins its sentence with one."""
    term, term2 = rng.sample(story.terms, 2)
    person = story.who[quote % len(story.who)] if "quote}" in frame.lower() else story.who[0]
    said = story.quotes[quote]
    plain = {
        "topic": story.topic,
        "affected": story.affected,
        "term": term,
        "ask": rng.choice(story.asks),
        "told": event.told(),
        "before": event.before(),
        "perfect": event.perfect(),
        "quote": said,
    }
    capital = {name.capitalize(): sentence_case(text) for name, text in plain.items()}
    names = {
        "name": person.name,
        "role": person.role,
        "title": person.title,
        "speaker": person.name if person.role.startswith("who ") else person.title,
        "surname": person.surname,
        "term2": term2,
    }
    return re.sub(r"([?!])\.", r"\1", frame.format(**plain, **capital, **names))


def _full_stop(text: str) -> str:
    return sentence_case(text) if text.endswith((".", "?", "!")) else f"{sentence_case(text)}."
