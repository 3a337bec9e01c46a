"""Articles and signals in other languages than English, in the embedded index."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from service.errors import OtherLanguage, RetrievalUnavailable
from service.generation.heuristic import heuristic_queries
from service.generation.own import own_queries
from service.languages import Language
from service.records import Filters, Signal
from service.retrieval.indexes.loading import load
from service.retrieval.indexes.tantivy import TantivyIndex
from service.retrieval.indexes.tantivy_writer import TantivyWriter
from tests.parts.languages import articles_in, signals_in

BOTH: list[Language] = ["german", "danish"]


def soon() -> float:
    return asyncio.get_running_loop().time() + 30


async def found(folder: Path, signals: list[Signal], language: Language) -> list[list[str]]:
    """The articles that each signal finds by its telling words, best first."""
    index = TantivyIndex(folder, language=language)
    queries = [own_queries([signal], 1, 1.0, language)[0].text for signal in signals]
    answer = await index.search(queries, 15, Filters(), soon())
    await index.close()
    return [[hit.id for hit in hits or ()] for hits in answer.hits]


@pytest.mark.parametrize("language", BOTH)
async def test_readers_signals_find_their_articles_first_and_few_others(
    tmp_path: Path, language: Language
) -> None:
    signals = signals_in(language)
    await load(TantivyWriter(tmp_path, language=language), articles_in(language))
    ids = await found(tmp_path, signals, language)
    assert [hits[:1] for hits in ids] == [[signal.item] for signal in signals]
    assert sum(map(len, ids)) <= 1.5 * len(signals)


@pytest.mark.parametrize("language", BOTH)
async def test_read_as_english_they_find_much_that_has_only_small_words_in_common(
    tmp_path: Path, language: Language
) -> None:
    signals = signals_in(language)
    await load(TantivyWriter(tmp_path), articles_in(language))
    ids = await found(tmp_path, signals, "english")
    assert sum(map(len, ids)) > 2.5 * len(signals)


def test_signals_are_one_interest_by_the_stems_of_their_language() -> None:
    said = ["Gletscher schmelzen in den Alpen", "die schmelzenden Gletscher der Alpen"]
    signals = [Signal(n, "news", text, f"s{n}") for n, text in enumerate(said)]
    [query] = heuristic_queries(signals, 8, "german")
    assert query.signals == ("s1", "s0")


async def test_an_index_in_another_language_is_refused_with_the_remedy(tmp_path: Path) -> None:
    writer = TantivyWriter(tmp_path, language="german")
    await load(writer, articles_in("german"))
    for language in ("english", "danish"):
        index = TantivyIndex(tmp_path, language=language)
        for _ in range(2):
            with pytest.raises(
                RetrievalUnavailable, match=rf"in german, and .*_LANGUAGE says {language}"
            ):
                await index.check(soon())
        with pytest.raises(OtherLanguage, match="set it to german, or load the articles again"):
            await TantivyWriter(tmp_path, language=language).upsert(articles_in("danish"))
        await index.close()
    await TantivyIndex(tmp_path, language="german").check(soon())


async def test_a_load_takes_the_language_of_the_settings_whatever_was_there(tmp_path: Path) -> None:
    await load(TantivyWriter(tmp_path, language="german"), articles_in("german"))
    await load(TantivyWriter(tmp_path, language="danish"), articles_in("danish"))
    await TantivyIndex(tmp_path, language="danish").check(soon())
