"""The demo users: invented readers whose searches, visits, purchases and videos hint at what news
they would care about, mostly in other words than the articles use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from models.demo.articles import day_of, demo_articles
from models.demo.material import Persona, Story, load_noise, load_personas, load_stories
from service.records import DOMAINS, Article, Domain, Signal

DAYS = 30
"""How far back the users' signals reach, in days."""
DRAWN = 54
"""Users drawn at random, beside the hand-written ones."""
_DAY_MS = 86_400_000
_SHARES = (38, 18, 8, 12, 24)
"""How often a signal is of each domain, in the order of `DOMAINS`."""
_NOISE = 0.3
_AGAIN = 0.15
"""How readily somebody does the very same thing once more."""
_USUAL, _HEAVY, _FEW = (10, 45), 230, 5
_ENDS = ("", "", "", " explained", " near me", " cost", " latest", " forum", " how it works")


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A reader: who they are, in words for people, and what they did, oldest first."""

    user_id: str
    about: str
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A signal before it has a time and an id; it can't be older than `after_ms`."""

    domain: Domain
    text: str
    item: str | None = None
    category: str | None = None
    after_ms: int = 0


def demo_users(seed: int = 7, newest: datetime | None = None) -> list[DemoUser]:
    """The users, the hand-written ones first: the same for the same `seed` and `newest`.

    Signals lie in the thirty days before `newest`; a news click comes after its article.
    """
    last_ms = int(day_of(newest).timestamp() * 1000)
    stories = {story.id: story for story in load_stories()}
    clicks = _articles_by_story(demo_articles(seed, newest), stories)
    noise = load_noise()
    users = []
    for persona, count in _cast(stories, seed):
        rng = Random(f"{seed}/{persona.id}")
        seen = [_Seen(domain, text) for domain, text in persona.signals]
        followed = [stories[story] for story in persona.follows]
        while len(seen) < count:
            if not followed or rng.random() < _NOISE:
                act = _noise(noise, rng)
            else:
                story = rng.choice(followed)
                act = _interest(story, clicks[story.id], rng)
            if act not in seen or rng.random() < _AGAIN:
                seen.append(act)
        users.append(DemoUser(persona.id, persona.about, _dated(persona.id, seen, last_ms, rng)))
    return users


def followed_stories(seed: int = 7) -> dict[str, frozenset[str]]:
    """The ids of the stories that each user follows; empty for one who follows none."""
    stories = {story.id: story for story in load_stories()}
    return {persona.id: frozenset(persona.follows) for persona, _ in _cast(stories, seed)}


def _cast(stories: Mapping[str, Story], seed: int) -> Iterator[tuple[Persona, int]]:
    """Everybody, and how many signals each is to have at the least."""
    rng = Random(f"{seed}/cast")
    for persona in load_personas():
        if not persona.follows:
            yield persona, len(persona.signals)
        else:
            yield persona, _HEAVY if persona.heavy else rng.randint(*_USUAL)
    for number in range(1, DRAWN + 1):
        name = f"u-{number:03d}"
        if number <= _FEW:
            story = rng.choice(list(stories.values()))
            about = f"New here: one or two signals, about the {story.topic} if any."
            yield Persona(name, about, (story.id,)), rng.randint(1, 2)
            continue
        follows = tuple(rng.sample(list(stories), rng.randint(2, 4)))
        topics = "; ".join(f"the {stories[story].topic}" for story in follows)
        yield Persona(name, f"Would care about {topics}.", follows), rng.randint(*_USUAL)


def _articles_by_story(
    articles: Sequence[Article], stories: Mapping[str, Story]
) -> dict[str, list[Article]]:
    """The articles of each story; an article's id is its story's with a number."""
    found: dict[str, list[Article]] = {story: [] for story in stories}
    for article in articles:
        found[article.id.rpartition("-")[0]].append(article)
    return found


def _interest(story: Story, articles: Sequence[Article], rng: Random) -> _Seen:
    domain = rng.choices(DOMAINS, _SHARES)[0]
    if domain == "news":
        article = rng.choice(articles)
        return _Seen(domain, article.title, article.id, article.category, article.published_ms)
    if domain == "browse":
        return _Seen(domain, story.page)
    if domain == "purchase":
        return _Seen(domain, story.buy)
    if domain == "video":
        return _Seen(domain, story.video)
    if rng.random() < 0.75:
        return _Seen(domain, rng.choice(story.search))
    return _Seen(domain, rng.choice(story.terms).lower() + rng.choice(_ENDS))


def _noise(noise: Mapping[Domain, Sequence[str]], rng: Random) -> _Seen:
    everyday = [domain for domain in DOMAINS if domain in noise]
    domain = rng.choices(everyday, [_SHARES[DOMAINS.index(d)] for d in everyday])[0]
    return _Seen(domain, rng.choice(noise[domain]))


def _dated(user_id: str, seen: Sequence[_Seen], last_ms: int, rng: Random) -> tuple[Signal, ...]:
    """Give every signal a time in the last thirty days, and an id in the order of time."""
    dated = []
    for act in seen:
        first_ms = max(last_ms - DAYS * _DAY_MS, act.after_ms)
        dated.append((rng.randint(first_ms, last_ms), act))
    dated.sort(key=lambda pair: (pair[0], pair[1].text))
    return tuple(
        Signal(at_ms, act.domain, act.text, f"{user_id}-{number:04d}", act.item, act.category)
        for number, (at_ms, act) in enumerate(dated, start=1)
    )
