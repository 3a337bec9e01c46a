"""The embedded index over the demo's articles, searched by meaning with a real encoder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.demo.articles import demo_articles
from service.encoding.indexing import OnnxArticles
from service.encoding.manifest import load_encoder_manifest
from service.encoding.onnx import OnnxModel
from service.records import Article, Encoded, Filters
from service.retrieval.indexes import loading
from service.retrieval.indexes.loading import article_text
from service.retrieval.indexes.tantivy import TantivyIndex
from service.retrieval.indexes.tantivy_writer import TantivyWriter
from tests.integration.conftest import NEWEST

SIZE = 50
ASKED = ["doctors and hospitals", "money troubles of families", "how to sleep better", "sea level"]


@pytest.fixture(scope="module")
def model(encoder_folder: Path) -> OnnxModel:
    return OnnxModel(load_encoder_manifest(encoder_folder), encoder_folder)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[TantivyIndex]:
    index = TantivyIndex(tmp_path)
    yield index
    asyncio.run(index.close())


async def test_the_nearest_articles_are_those_of_comparing_all(
    tmp_path: Path, model: OnnxModel, index: TantivyIndex
) -> None:
    articles = list(demo_articles(newest=NEWEST))[:400]
    report = await loading.load(TantivyWriter(tmp_path), articles, encoder=OnnxArticles(model))
    assert report.articles == len(articles)
    asked = model.encode(ASKED, "query")
    until = asyncio.get_running_loop().time() + 60
    answer = await index.search(ASKED, SIZE, Filters(), until, Encoded(model.manifest.key, asked))
    assert answer.encoder == model.manifest.key
    vectors = model.encode([article_text(article) for article in articles], "article")
    for cosines, hits in zip(asked @ vectors.T, answer.near, strict=True):
        best = sorted(cosines.tolist(), reverse=True)[:SIZE]
        assert np.allclose([hit.score for hit in hits], best, atol=1e-5)
        by_id = {article.id: cosine for article, cosine in zip(articles, cosines, strict=True)}
        assert np.allclose([by_id[hit.id] for hit in hits], best, atol=1e-5)


async def test_an_article_is_near_to_what_it_means_without_a_word_of_it(
    tmp_path: Path, model: OnnxModel, index: TantivyIndex
) -> None:
    articles = [
        Article("economy", "Central bank raises interest rates", "Inflation stays high."),
        Article("sport", "Goalkeeper saves two penalties", "His team wins the cup."),
        Article("space", "Astronauts land on the Moon", "The crew spent a week in orbit."),
    ]
    writer = TantivyWriter(tmp_path)
    await loading.load(writer, articles, encoder=OnnxArticles(model))
    changed = Article("sport", "Volcano erupts in Iceland", "Lava flows towards a town.")
    await loading.upsert(writer, [changed], encoder=OnnxArticles(model))
    texts = ["mortgage costs", "rocket travel", "natural disaster", "soccer match"]
    asked = Encoded(model.manifest.key, model.encode(texts, "query"))
    until = asyncio.get_running_loop().time() + 60
    answer = await index.search(texts, 1, Filters(), until, asked)
    assert answer.hits == ((),) * len(texts)
    assert [hits[0].id for hits in answer.near[:3]] == ["economy", "space", "sport"]
    assert answer.near[2][0].title == "Volcano erupts in Iceland"
    assert answer.near[3][0].score < answer.near[2][0].score


def test_on_several_cores_texts_get_the_same_vectors_in_the_same_order(
    encoder_folder: Path,
) -> None:
    manifest = load_encoder_manifest(encoder_folder)
    alone, several = (OnnxModel(manifest, encoder_folder, threads) for threads in (1, 3))
    texts = ["", "ferry", *(f"{'the boat ' * n}leaves" for n in range(40))]
    assert np.array_equal(alone.encode(texts, "article"), several.encode(texts, "article"))
