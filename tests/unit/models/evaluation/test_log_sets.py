"""Sets out of reading logs: what is measured, what is live and popular, what is counted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from models.evaluation.bench import Bench
from models.evaluation.evaluate import evaluate_lists
from models.evaluation.log_sets import log_set
from models.evaluation.sets import EvaluationSet
from models.evaluation.systems import evaluate_systems
from models.mind.writing import write_mind
from service.errors import InvalidInput
from service.records import Article
from service.signals.clicks import Impression
from tests.parts import parquet
from tests.unit.models.builders import DAY_MS, NOW_MS, article, queries, stories

Shown = dict[str, bool]


def impression(
    name: str, days: float | None, history: str, shown: Shown, user: str = ""
) -> Impression:
    at_ms = None if days is None else int(NOW_MS + days * DAY_MS)
    return Impression(name, user or f"u{name}", at_ms, tuple(history.split()), tuple(shown.items()))


def log(
    folder: Path,
    *impressions: Impression,
    articles: tuple[Article, ...] = stories(),
    max_impressions: int | None = None,
    max_errors: int = 0,
) -> EvaluationSet:
    """These impressions in MIND's format, read back."""
    write_mind(folder, articles, impressions, replace=True)
    return log_set(
        str(folder / "news.tsv"),
        str(folder / "behaviors.tsv"),
        max_impressions=max_impressions,
        max_errors=max_errors,
    )


CLICK = impression("1", 1.5, "ferry-1", {"ferry+1": True, "chess+1": False})


def test_signals_are_the_articles_read_before_and_relevant_is_what_was_clicked(
    tmp_path: Path,
) -> None:
    (user,) = log(tmp_path, CLICK).users
    assert [(signal.domain, signal.text, signal.item) for signal in user.signals] == [
        ("news", "Battery ferry crosses the fjord ferrywinter", "ferry-1")
    ]
    assert user.relevant == {"ferry+1"}
    assert user.exclude == {"ferry-1"}
    assert user.person == "u1"


def test_an_article_that_nobody_had_been_shown_yet_is_not_live(tmp_path: Path) -> None:
    later = impression("2", 3, "", {"ferry+2": True, "bread+2": False})
    first, second = log(tmp_path, CLICK, later).users
    assert first.live is not None
    assert second.live is not None
    assert "ferry+2" not in first.live
    assert "ferry+2" in second.live


def test_popular_is_what_was_clicked_before_the_impression(tmp_path: Path) -> None:
    rows = [impression(str(n), n, "", {"chess+1": True, "bread+1": False}) for n in range(3)]
    rows.append(impression("9", 2.5, "", {"ferry+1": True, "chess+1": False}))
    data = log(tmp_path, *rows)
    assert [[*(user.popular or ())] for user in data.users] == [[], *[["chess+1"]] * 3]
    assert data.about["popularity"] == "clicks before"


def test_articles_with_a_popularity_of_their_own_keep_it(tmp_path: Path) -> None:
    file = tmp_path / "news.jsonl"
    file.write_text('{"id": "a", "title": "Ferry", "popularity": 3}\n', encoding="utf-8")
    (tmp_path / "behaviors.tsv").write_text("1\tu\t\ta-1 b-0\n", encoding="utf-8")
    data = log_set(str(file), str(tmp_path / "behaviors.tsv"))
    assert data.users[0].popular is None
    assert data.about["popularity"] == "articles' own"


def test_clicks_that_cannot_be_found_are_counted_and_not_measured(tmp_path: Path) -> None:
    data = log(
        tmp_path,
        CLICK,
        impression("2", 2, "", {"gone": True, "ferry+1": False}),
        impression("3", 2, "bread-1 lost", {"bread-1": True}),
        impression("4", 2, "", {"bread+1": False}),
    )
    about = data.about
    assert [user.person for user in data.users] == ["u1"]
    assert (about["impressions"], about["without_clicks"], about["clicks"]) == (4, 3, 3)
    assert (about["clicks_unknown"], about["clicks_read_before"]) == (1, 1)


def test_bad_rows_are_named_by_file_and_line_or_left_out_and_counted(tmp_path: Path) -> None:
    log(tmp_path, CLICK)
    file = tmp_path / "behaviors.tsv"
    file.write_text("x\ty\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    news = str(tmp_path / "news.tsv")
    with pytest.raises(InvalidInput, match=r"behaviors\.tsv:1: 2 columns"):
        log_set(news, str(file))
    assert log_set(news, str(file), max_errors=1).about["bad_rows"] == 1


def test_a_sample_is_as_large_as_asked_for_and_the_same_again(tmp_path: Path) -> None:
    rows = [impression(str(n), n / 9, "", {"ferry+1": True, "bread+1": False}) for n in range(40)]
    samples = [log(tmp_path, *rows, max_impressions=10).users for _ in range(2)]
    assert [user.id for user in samples[0]] == [user.id for user in samples[1]]
    assert len({user.person for user in samples[0]}) == 10
    assert [user.now_ms for user in samples[0]] == sorted(user.now_ms for user in samples[0])


def test_a_log_without_a_click_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="none of 1 impressions has a click"):
        log(tmp_path, impression("1", 1, "", {"ferry+1": False}))


def test_a_log_in_parquet_is_read_with_its_history(tmp_path: Path) -> None:
    news = parquet.write(
        tmp_path / "articles.parquet",
        parquet.ARTICLES,
        parquet.article(1, "Ferry trial begins", category_str="transport"),
        parquet.article(2, "Ferry trial ends"),
        parquet.article(3, "Chess in the park"),
    )
    clicked = parquet.impression(1, 13, article_ids_inview=[2, 3], article_ids_clicked=[2])
    behaviors = parquet.write(tmp_path / "behaviors.parquet", parquet.BEHAVIORS, clicked)
    read = parquet.history(13, (1, parquet.MAY_1 - timedelta(minutes=7)))
    history = parquet.write(tmp_path / "history.parquet", parquet.HISTORY, read)
    (user,) = log_set(news, behaviors, history).users
    assert [(one.item, one.text, one.category, one.at_ms) for one in user.signals] == [
        ("1", "Ferry trial begins", "transport", parquet.MAY_1_MS - 7 * 60_000)
    ]
    assert (user.person, user.relevant, user.exclude) == ("13", {"2"}, {"1"})
    assert user.shown == (("2", True), ("3", False))
    bare = log_set(news, behaviors)
    assert bare.users[0].signals == ()
    assert bare.about["without_history"] == 1


def test_a_history_of_its_own_is_refused_for_a_log_that_has_one_in_its_rows(tmp_path: Path) -> None:
    write_mind(tmp_path, stories(), [CLICK])
    with pytest.raises(InvalidInput, match="says in each row what was read before") as refused:
        log_set(str(tmp_path / "news.tsv"), str(tmp_path / "behaviors.tsv"), "history.parquet")
    assert refused.value.field == "--history"


def test_standard_input_is_refused_for_a_log_is_read_twice() -> None:
    with pytest.raises(InvalidInput, match="read twice"):
        log_set("-", "behaviors.tsv")


def test_a_clicked_article_that_the_queries_find_wins_within_the_impression(tmp_path: Path) -> None:
    data = log(tmp_path, CLICK, impression("2", 2, "", {"ferry+1": True}))
    first, second = data.users
    with Bench(data) as bench:
        found = evaluate_lists(bench, {first.id: queries("battery ferry")}, ("L", "S", "P"))["L"]
    assert found["auc"][0] == 1.0
    assert found["mrr"][0] == 1.0
    assert np.isnan(found["auc"][1]), "everything shown was clicked"
    assert second.signals == ()


def test_where_nothing_is_found_the_impression_is_a_tie(tmp_path: Path) -> None:
    data = log(tmp_path, CLICK)
    with Bench(data) as bench:
        assert evaluate_lists(bench, {})["L"]["auc"].tolist() == [0.5]


def test_beside_popular_articles_a_reader_without_history_finds_them(tmp_path: Path) -> None:
    rows = [impression(str(n), n, "", {"chess+1": True, "bread+1": False}) for n in range(3)]
    data = log(tmp_path, *rows)
    with Bench(data) as bench:
        found = evaluate_lists(bench, {}, ("L", "P"))
    assert found["L"]["recall@50"].tolist() == [0, 0, 0]
    assert found["P"]["recall@50"].tolist() == [0, 1, 1]


def test_on_a_log_popularity_beats_chance_where_readers_follow_it(tmp_path: Path) -> None:
    """The whole way, on a log whose clicks follow what was clicked before."""
    random = np.random.default_rng(3)
    articles = tuple(article(f"n{number}", f"headline {number}") for number in range(30))
    appeal = np.exp(-np.arange(30) / 5)
    rows = []
    for number in range(120):
        shown = random.choice(30, 6, replace=False)
        clicked = random.choice(shown, p=appeal[shown] / appeal[shown].sum())
        rows.append(
            impression(str(number), number / 24, "", {f"n{id_}": id_ == clicked for id_ in shown})
        )
    done = evaluate_systems(log(tmp_path, *rows, articles=articles), {})
    popularity = next(system for system in done.systems if system.name == "popularity")
    assert np.nanmean(popularity.measured["auc"][40:]) > 0.6
