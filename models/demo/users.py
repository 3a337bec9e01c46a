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
"""Users drawn at random, beside the hand-written ones, unless another number is asked for."""
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
class Act:
    """A signal before it has a time and an id; it can't be older than `after_ms`."""

    domain: Domain
    text: str
    item: str | None = None
    category: str | None = None
    after_ms: int = 0


class Acts:
    """What readers do, drawn one act at a time: out of a story they follow, or of everyday life."""

    def __init__(self, seed: int = 7, newest: datetime | None = None) -> None:
        self._stories = {story.id: story for story in load_stories()}
        self._articles = _articles_by_story(demo_articles(seed, newest), self._stories)
        self._noise = load_noise()

    def draw(self, follows: Sequence[str], rng: Random) -> Act:
        """The next act of somebody who follows these stories, by their ids."""
        if not follows or rng.random() < _NOISE:
            return _noise(self._noise, rng)
        story = self._stories[rng.choice(follows)]
        return _interest(story, self._articles[story.id], rng)


def demo_users(seed: int = 7, newest: datetime | None = None, drawn: int = DRAWN) -> list[DemoUser]:
    """The users, the hand-written ones first: the same for the same `seed` and `newest`.

    With more `drawn` there are more of them, and the first ones are as they were. Signals lie in
    the thirty days before `newest`; a news click comes after its article.
    """
    last_ms = int(day_of(newest).timestamp() * 1000)
    acts = Acts(seed, newest)
    users = []
    for persona, count in _cast(_stories_by_id(), seed, drawn):
        rng = Random(f"{seed}/{persona.id}")
        seen = [Act(domain, text) for domain, text in persona.signals]
        while len(seen) < count:
            act = acts.draw(persona.follows, rng)
            if act not in seen or rng.random() < _AGAIN:
                seen.append(act)
        users.append(DemoUser(persona.id, persona.about, _dated(persona.id, seen, last_ms, rng)))
    return users


def followed_stories(seed: int = 7, drawn: int = DRAWN) -> dict[str, frozenset[str]]:
    """The ids of the stories that each user follows; empty for one who follows none."""
    cast = _cast(_stories_by_id(), seed, drawn)
    return {persona.id: frozenset(persona.follows) for persona, _ in cast}


def story_of(article_id: str) -> str:
    """The story of an article; its id is its story's with a number."""
    return article_id.rpartition("-")[0]


def _stories_by_id() -> dict[str, Story]:
    return {story.id: story for story in load_stories()}


def _cast(stories: Mapping[str, Story], seed: int, drawn: int) -> Iterator[tuple[Persona, int]]:
    """Everybody, and how many signals each is to have at the least."""
    rng = Random(f"{seed}/cast")
    for persona in load_personas():
        if not persona.follows:
            yield persona, len(persona.signals)
        else:
            yield persona, _HEAVY if persona.heavy else rng.randint(*_USUAL)
    for number in range(1, drawn + 1):
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
    """The articles of each story."""
    found: dict[str, list[Article]] = {story: [] for story in stories}
    for article in articles:
        found[story_of(article.id)].append(article)
    return found


def _interest(story: Story, articles: Sequence[Article], rng: Random) -> Act:
    domain = rng.choices(DOMAINS, _SHARES)[0]
    if domain == "news":
        article = rng.choice(articles)
        return Act(domain, article.title, article.id, article.category, article.published_ms)
    if domain == "browse":
        return Act(domain, story.page)
    if domain == "purchase":
        return Act(domain, story.buy)
    if domain == "video":
        return Act(domain, story.video)
    if rng.random() < 0.75:
        return Act(domain, rng.choice(story.search))
    return Act(domain, rng.choice(story.terms).lower() + rng.choice(_ENDS))


def _noise(noise: Mapping[Domain, Sequence[str]], rng: Random) -> Act:
    everyday = [domain for domain in DOMAINS if domain in noise]
    domain = rng.choices(everyday, [_SHARES[DOMAINS.index(d)] for d in everyday])[0]
    return Act(domain, rng.choice(noise[domain]))


def _dated(user_id: str, seen: Sequence[Act], last_ms: int, rng: Random) -> tuple[Signal, ...]:
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
