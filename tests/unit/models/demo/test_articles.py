import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import combinations
from math import log

import pytest
import Stemmer

from models.demo.articles import DAYS, demo_articles
from models.demo.material import load_stories
from service.errors import ConfigurationError

NEWEST = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def articles():
    return demo_articles(newest=NEWEST)


@pytest.fixture(scope="module")
def stories():
    return load_stories()


def stems(text):
    words = re.findall(r"[a-zà-ÿ]{3,}", text.lower())
    return Stemmer.Stemmer("english").stemWords(words)


def text(article):
    return f"{article.title} {article.abstract} {article.body}"


def story_of(article):
    return article.id.rpartition("-")[0]


def test_the_corpus_is_large_and_wide(articles):
    assert len(articles) >= 1_800
    per_category = Counter(article.category for article in articles)
    assert len(per_category) >= 18
    assert min(per_category.values()) >= 60


def test_every_category_has_at_least_eight_stories(stories):
    assert min(Counter(story.category for story in stories).values()) >= 8


def test_ids_and_nearly_all_titles_are_unique(articles):
    assert len({article.id for article in articles}) == len(articles)
    assert len({article.title for article in articles}) >= 0.98 * len(articles)


def test_bodies_differ_within_a_story(articles):
    assert len({article.body for article in articles}) == len(articles)


def test_no_field_is_empty(articles):
    for article in articles:
        assert article.title
        assert article.category
        assert article.popularity > 0
        assert 2 <= len(re.findall(r'[.?!]"?(?= |$)', article.abstract)) <= 4
        assert len(re.findall(r'[.?!]"?(?= |$)', article.body)) >= 3
    assert sum(bool(article.entities) for article in articles) > 0.9 * len(articles)


def test_articles_lie_in_the_ninety_days_up_to_the_newest(articles):
    last = NEWEST.timestamp() * 1000
    first = (NEWEST - timedelta(days=DAYS)).timestamp() * 1000
    assert all(first <= article.published_ms <= last for article in articles)
    assert articles[-1].published_ms > last - 86_400_000
    assert articles == sorted(articles, key=lambda article: article.published_ms)


def test_the_same_seed_gives_the_same_corpus_and_another_gives_another(articles):
    assert demo_articles(newest=NEWEST) == articles
    assert demo_articles(seed=8, newest=NEWEST) != articles


def test_without_a_date_the_corpus_ends_at_the_last_midnight():
    before = _midnight()
    newest = max(article.published_ms for article in demo_articles())
    assert newest <= _midnight()
    assert before < newest + 2 * 86_400_000


def _midnight() -> float:
    now = datetime.now(UTC)
    return now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000


def test_popularity_is_heavy_tailed(articles):
    clicks = sorted((article.popularity for article in articles), reverse=True)
    assert sum(clicks[: len(clicks) // 10]) > 0.35 * sum(clicks)


def test_texts_are_clean(articles):
    for article in articles:
        for part in (article.title, article.abstract, article.body):
            assert not re.search(r"[{}~|]|  |\.\.|[?!]\.| [.,;:]|\bthe the\b|\ba an?\b", part), part
            assert not re.search(r"\b[Aa] (?!eu|one\b)[aeio]\w", part), part
            assert not re.search(r"\b[Aa]n (?![aeiouAEIOUhHéÉ18])\w", part), part
            assert part == part.strip()
            assert part[0].isupper() or not part[0].isalpha(), part
        assert 12 <= len(article.title) <= 130, article.title


def test_people_belong_to_one_story(stories):
    people = Counter(person.name for story in stories for person in story.who)
    assert max(people.values()) == 1


def test_a_story_shares_few_rare_words_with_any_other(articles):
    """Words that fewer than five stories use are a story's own; pairs hardly share any."""
    words = defaultdict(set)
    for article in articles:
        words[story_of(article)] |= set(stems(text(article)))
    spread = Counter(stem for own in words.values() for stem in own)
    rare = {story: {stem for stem in own if spread[stem] <= 4} for story, own in words.items()}
    overlaps = [
        len(rare[a] & rare[b]) / min(len(rare[a]), len(rare[b])) for a, b in combinations(rare, 2)
    ]
    assert min(len(own) for own in rare.values()) >= 15
    assert sum(overlaps) / len(overlaps) < 0.02
    assert max(overlaps) < 0.25
    assert len(spread) >= 4_000


def test_a_search_for_a_topic_finds_its_story(articles, stories):
    """A plain TF-IDF sum over titles and texts: the topic's own articles come first."""
    found = [Counter(stems(f"{article.title} {text(article)}")) for article in articles]
    spread = Counter(stem for counts in found for stem in counts)

    def hits(query):
        wanted = {s: log(len(found) / spread[s]) for s in set(stems(query)) if s in spread}
        scored = [
            (sum(w * counts[s] / (counts[s] + 1.2) for s, w in wanted.items()), i)
            for i, counts in enumerate(found)
        ]
        return [story_of(articles[i]) for _, i in sorted(scored, reverse=True)[:5]]

    precise = [hits(story.topic).count(story.id) / 5 for story in stories]
    assert sum(precise) / len(precise) > 0.9
    assert sum(share >= 0.6 for share in precise) > 0.95 * len(precise)


def test_a_story_line_with_a_missing_field_is_refused_by_name(tmp_path):
    (tmp_path / "odd.yaml").write_text("angles: [x]\nstories:\n- id: lonely\n  topic: t\n")
    with pytest.raises(ConfigurationError, match=r"odd\.yaml: story 'lonely': missing"):
        load_stories(tmp_path)
