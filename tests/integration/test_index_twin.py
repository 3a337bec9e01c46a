"""The embedded index finds what OpenSearch finds: the same articles with the same scores."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import pytest

from models.demo.articles import demo_articles
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.errors import OtherLanguage
from service.generation.own import own_queries
from service.languages import ENGLISH, LANGUAGES, Language
from service.protocols import ArticleIndex
from service.records import Article, Encoded, Filters, Hit, Vectors
from service.retrieval.indexes.analysis import build_analyzer, definition
from service.retrieval.indexes.loading import ArticleEncoder, load
from service.retrieval.indexes.opensearch import OpenSearchIndex
from service.retrieval.indexes.opensearch_client import connect
from service.retrieval.indexes.opensearch_writer import OpenSearchWriter
from service.retrieval.indexes.readers import read_articles
from service.retrieval.indexes.tantivy import TantivyIndex
from service.retrieval.indexes.tantivy_writer import TantivyWriter
from service.words.listed import snowball_stop_words
from tests.integration.conftest import NEWEST
from tests.parts.languages import articles_in, signals_in
from tests.parts.opensearch import call

pytestmark = pytest.mark.opensearch

TOP = 10
QUERIES = 200
SIZE = 50


Hits = tuple[Hit, ...]


class Remembering:
    """An `ArticleEncoder` that gives a text the same vector whoever asks, and in any company."""

    def __init__(self, model: OnnxModel) -> None:
        self.key, self.dimension = model.manifest.key, model.manifest.dimension
        self._model = model
        self._known: dict[str, Vectors] = {}

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """A row a text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known |= zip(new, self._model.encode(new, "article"), strict=True)
        return np.array([self._known[text] for text in texts], np.float32)

    async def close(self) -> None:
        """Nothing is held."""


class Twins:
    """Both indexes over the same articles."""

    def __init__(self, url: str, name: str, folder: Path, language: Language = ENGLISH) -> None:
        self._client = connect(url)
        self._writers = (
            OpenSearchWriter(self._client, name, language=language),
            TantivyWriter(folder, language=language),
        )
        self.indexes: tuple[ArticleIndex, ArticleIndex] = (
            OpenSearchIndex(self._client, name, language=language),
            TantivyIndex(folder, language=language),
        )

    async def load(
        self, articles: Sequence[Article], encoder: ArticleEncoder | None = None
    ) -> None:
        """Load both."""
        for writer in self._writers:
            await load(writer, articles, encoder=encoder)

    async def near(self, texts: Sequence[str], encoded: Encoded) -> list[tuple[Hits, Hits]]:
        """For each text, what each of the two finds by meaning."""
        found = []
        for index in self.indexes:
            hits: list[Hits] = []
            for start in range(0, len(texts), 20):
                rows = slice(start, start + 20)
                part = Encoded(encoded.key, encoded.vectors[rows])
                until = asyncio.get_running_loop().time() + 60
                answer = await index.search(texts[rows], SIZE, Filters(), until, part)
                hits += answer.near
            found.append(hits)
        return list(zip(*found, strict=True))

    async def upsert(self, articles: Sequence[Article]) -> None:
        """Change both."""
        for writer in self._writers:
            await writer.upsert(articles)

    async def search(
        self, texts: Sequence[str], filters: Filters | None = None
    ) -> list[tuple[tuple[Hit, ...], tuple[Hit, ...]]]:
        """For each text, what each of the two finds."""
        found = []
        for index in self.indexes:
            hits: list[tuple[Hit, ...]] = []
            for start in range(0, len(texts), 20):
                part = texts[start : start + 20]
                until = asyncio.get_running_loop().time() + 60
                answer = await index.search(part, SIZE, filters or Filters(), until)
                hits += [found or () for found in answer.hits]
            found.append(hits)
        return list(zip(*found, strict=True))

    async def close(self) -> None:
        """Close both."""
        for index in self.indexes:
            await index.close()


@pytest.fixture
async def twins(opensearch_url: str, index_name: str, tmp_path: Path) -> AsyncIterator[Twins]:
    twins = Twins(opensearch_url, index_name, tmp_path / "news")
    yield twins
    await twins.close()


def phrases(articles: Sequence[Article], count: int) -> list[str]:
    """Queries as a student writes them: a few words in a row out of a title or an abstract."""
    rng = Random(11)
    chosen = []
    for article in rng.choices(articles, k=count):
        words = (article.title if rng.random() < 0.5 else article.abstract or article.title).split()
        start = rng.randrange(max(1, len(words) - 3))
        chosen.append(" ".join(words[start : start + rng.randint(1, 8)]))
    return chosen


def agreement(pairs: Sequence[tuple[tuple[Hit, ...], tuple[Hit, ...]]]) -> float:
    """Share of queries whose top ten are the same articles, ties at the tenth place aside."""
    same = 0
    for one, other in pairs:
        last = max([hits[TOP - 1].score for hits in (one, other) if len(hits) >= TOP], default=0.0)
        margin = last * 1.001
        tops = [{hit.id for hit in hits[:TOP]} for hits in (one, other)]
        clear = [{hit.id for hit in hits[:TOP] if hit.score > margin} for hits in (one, other)]
        same += len(one[:TOP]) == len(other[:TOP]) and clear[0] <= tops[1] and clear[1] <= tops[0]
    return same / len(pairs)


def scores_differ_by(pairs: Sequence[tuple[tuple[Hit, ...], tuple[Hit, ...]]]) -> float:
    """The median of the relative difference of the best scores."""
    ratios = [abs(a[0].score / b[0].score - 1) for a, b in pairs if a and b and a[0].id == b[0].id]
    return sorted(ratios)[len(ratios) // 2]


async def test_over_the_demo_corpus_the_top_ten_are_the_same(twins: Twins) -> None:
    articles = demo_articles(newest=NEWEST)
    await twins.load(articles)
    pairs = await twins.search(phrases(articles, QUERIES))
    assert sum(bool(hits) for hits, _ in pairs) > 0.9 * QUERIES
    assert agreement(pairs) >= 0.98
    assert scores_differ_by(pairs) < 0.001


async def test_where_many_articles_lack_a_body_or_an_abstract_they_are_still_the_same(
    twins: Twins,
) -> None:
    rng = Random(5)
    articles = [
        Article(
            id=article.id,
            title=article.title,
            abstract=article.abstract if rng.random() < 0.5 else "",
            body=article.body if rng.random() < 0.3 else "",
            published_ms=article.published_ms,
        )
        for article in demo_articles(newest=NEWEST)
    ]
    await twins.load(articles)
    pairs = await twins.search(phrases(articles, QUERIES))
    assert agreement(pairs) >= 0.98
    assert scores_differ_by(pairs) < 0.001


async def test_after_changes_and_under_a_filter_they_are_still_the_same(twins: Twins) -> None:
    articles = demo_articles(newest=NEWEST)
    await twins.load(articles[:-100])
    await twins.upsert(articles[-150:])
    middle = sorted(article.published_ms for article in articles)[len(articles) // 2]
    pairs = await twins.search(phrases(articles, QUERIES), Filters(published_after_ms=middle))
    assert all(hit.published_ms >= middle for pair in pairs for hits in pair for hit in hits)
    assert agreement(pairs) >= 0.9


async def test_articles_from_the_future_are_found_by_neither_and_undated_ones_by_both(
    twins: Twins,
) -> None:
    """The bound itself is no future, and it changes no score."""
    hour = 3_600_000
    dates = {"old": -hour, "undated": 0, "now": hour, "soon": hour + 1_000, "far": 2_000_000 * hour}
    await twins.load([Article(id_, "Ferry strike", published_ms=at) for id_, at in dates.items()])
    (everything,) = await twins.search(["ferry"])
    for filters, ids in (
        (Filters(), set(dates)),
        (Filters(published_until_ms=hour), {"now", "undated", "old"}),
        (Filters(published_after_ms=1, published_until_ms=hour + 1_000), {"soon", "now"}),
    ):
        (found,) = await twins.search(["ferry"], filters)
        for hits, unfiltered in zip(found, everything, strict=True):
            assert hits == tuple(hit for hit in unfiltered if hit.id in ids)
            assert {hit.id for hit in hits} == ids


@pytest.mark.parametrize("text", ["", "the", "a AND (b", "title:x", "日本語", "𝕏 \U0001f300", "'"])
async def test_odd_texts_are_answered_alike(twins: Twins, text: str) -> None:
    await twins.load([Article("1", "Ferry strike"), Article("2", "日本 storm title b")])
    ((one, other),) = await twins.search([text])
    assert [hit.id for hit in one] == [hit.id for hit in other]


async def test_the_longest_queries_are_answered_by_both(twins: Twins) -> None:
    await twins.load([Article("1", "Ferry strike"), Article("2", "日本 storm")])
    long = ["日本語" * 500, "ferry " * 5000, " ".join(chr(0x4E00 + n) for n in range(2000))]
    found = [[[hit.id for hit in hits] for hits in pair] for pair in await twins.search(long)]
    assert found == [[["2"], ["2"]], [["1"], ["1"]], [[], []]]


async def test_the_popular_articles_are_the_same(twins: Twins) -> None:
    await twins.load(demo_articles(newest=NEWEST))
    until = asyncio.get_running_loop().time() + 30
    one, other = [await index.popular(100, until) for index in twins.indexes]
    assert [hit.id for hit in one] == [hit.id for hit in other]
    assert [hit.popularity for hit in one] == pytest.approx([hit.popularity for hit in other])


BOTH: list[Language] = ["german", "danish"]


@pytest.mark.parametrize("language", BOTH)
async def test_in_german_and_danish_they_find_the_same_and_signals_their_articles(
    opensearch_url: str, index_name: str, tmp_path: Path, language: Language
) -> None:
    twins = Twins(opensearch_url, index_name, tmp_path / "news", language)
    articles, signals = articles_in(language), signals_in(language)
    await twins.load(articles)
    texts = [query.text for query in own_queries(signals[::-1], len(signals), 1.0, language)]
    pairs = await twins.search(texts)
    for signal, pair in zip(signals, pairs, strict=True):
        assert [hits[0].id for hits in pair] == [signal.item] * 2
    pairs += await twins.search(phrases(articles, QUERIES))
    assert agreement(pairs) >= 0.98
    assert scores_differ_by(pairs) < 0.001
    await twins.close()


SENTENCES: dict[Language, str] = {
    "arabic": "أعلنت الحكومة الجديدة عن خطة لبناء المدارس في المدن الكبيرة",
    "danish": "Regeringen vil bygge nye skoler i de store byer, sagde ministeren i går",
    "english": "The government is going to build new schools in larger cities, ministers said",
    "finnish": "Hallitus rakentaa uusia kouluja suuriin kaupunkeihin, ministeri kertoi eilen",
    "french": "Le gouvernement construira de nouvelles écoles dans les grandes villes",
    "german": "Die Regierung will neue Schulen in den größeren Städten bauen, sagte der Minister",
    "greek": "Η κυβέρνηση θα χτίσει νέα σχολεία στις μεγάλες πόλεις, είπε ο υπουργός",
    "hungarian": "A kormány új iskolákat épít a nagyvárosokban, mondta tegnap a miniszter",
    "italian": "Il governo costruirà nuove scuole nelle grandi città, ha detto il ministro",
    "norwegian": "Regjeringen vil bygge nye skoler i de store byene, sa ministeren i går",
    "portuguese": "O governo vai construir novas escolas nas grandes cidades, disse o ministro",
    "romanian": "Guvernul va construi școli noi în marile orașe, a spus ministrul",
    "russian": "Правительство построит новые школы в больших городах, сказал министр",
    "spanish": "El gobierno construirá nuevas escuelas en las grandes ciudades, dijo el ministro",
    "swedish": "Regeringen ska bygga nya skolor i de stora städerna, sade ministern",
    "tamil": "புதிய பள்ளிகளை அரசு பெரிய நகரங்களில் கட்டும் என்று அமைச்சர் கூறினார்",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_there_is_becomes_the_same_terms_in_both(
    opensearch_url: str, index_name: str, language: Language
) -> None:
    call(f"{opensearch_url}/{index_name}", "PUT", definition(language))
    text = f"{SENTENCES[language]}. {' '.join(sorted(snowball_stop_words(language)))}"
    asked = {"analyzer": "news", "text": text}
    answer = call(f"{opensearch_url}/{index_name}/_analyze", "POST", asked)
    tokens = answer["tokens"]
    assert isinstance(tokens, list)
    terms = [token["token"] for token in tokens]
    assert terms == build_analyzer(language).analyze(text)
    assert len(terms) >= 6


async def test_an_index_on_opensearch_in_another_language_is_refused_with_the_remedy(
    opensearch_url: str, index_name: str
) -> None:
    writer = OpenSearchWriter(connect(opensearch_url), index_name, language="german")
    await load(writer, articles_in("german"))
    await writer.close()
    changed = OpenSearchWriter(connect(opensearch_url), index_name)
    index = OpenSearchIndex(connect(opensearch_url), index_name)
    with pytest.raises(OtherLanguage, match=r"german, .* set it to german, or load the articles"):
        await index.check(asyncio.get_running_loop().time() + 30)
    with pytest.raises(OtherLanguage, match="INTERESTS_INDEX_LANGUAGE says english"):
        await changed.upsert(articles_in("danish"))
    await changed.close()
    await index.close()


@pytest.mark.skipif(
    "INTERESTS_TEST_DATA" not in os.environ, reason="INTERESTS_TEST_DATA names no real articles"
)
async def test_over_real_articles_and_real_web_searches_they_are_the_same(twins: Twins) -> None:
    """The folder holds `huffpost.jsonl.gz` (articles) and `queries.jsonl.gz`."""
    data = Path(os.environ["INTERESTS_TEST_DATA"])
    articles = [
        row for row in read_articles(str(data / "huffpost.jsonl.gz")) if isinstance(row, Article)
    ]
    with gzip.open(data / "queries.jsonl.gz") as lines:
        rows = (json.loads(line) for line in lines)
        queries = [
            row["query"] for row in islice((r for r in rows if r["source"] == "nq"), QUERIES)
        ]
    await twins.load(articles)
    pairs = await twins.search(queries)
    print(f"the same top {TOP} for {agreement(pairs):.1%} of {len(queries)} queries")
    assert agreement(pairs) >= 0.95


@pytest.mark.timeout(240)
async def test_by_meaning_both_find_the_same_first_ten(twins: Twins, encoder_folder: Path) -> None:
    model = OnnxModel(load_encoder_manifest(encoder_folder), encoder_folder)
    articles = list(islice(demo_articles(newest=NEWEST), 1_000))
    await twins.load(articles, Remembering(model))
    texts = phrases(articles, QUERIES)
    encoded = Encoded(model.manifest.key, model.encode(texts, "query"))
    pairs = await twins.near(texts, encoded)
    assert all(len(one) == len(other) == SIZE for one, other in pairs)
    assert agreement(pairs) >= 0.95
    assert scores_differ_by(pairs) < 1e-4
