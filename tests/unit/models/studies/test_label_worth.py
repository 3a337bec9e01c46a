"""Lists of references by rules, and by what a training would teach."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.evaluation.sets import EvaluationUser
from models.studies.label_worth import RULES, lists_of, taught
from models.training.sft.reference_labels import ReferenceForm
from tests.unit.models.builders import reader, signal, small_set

USER = replace(
    reader(
        "u",
        "ferry",
        signal("Opera singer loses her voice", 0, "news"),
        signal("glacier ferry", 1),
        signal("Bakers strike over flour", 2, "news"),
        signal("banana bread recipe", 3),
    ),
    sources=(1, 1, 2, None),
)


def said(user: EvaluationUser, rule: str | ReferenceForm, most_shown: int = 24) -> list[str]:
    made = RULES[rule] if isinstance(rule, str) else taught(rule)
    lists = lists_of(small_set(user), made, most_shown)
    return [query.text.split()[0].lower() for query in lists.get("u", ())]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("the newest", ["banana", "bakers", "glacier", "opera"]),
        ("headlines, then others", ["bakers", "opera", "banana", "glacier"]),
        ("headlines alone", ["bakers", "opera"]),
        (ReferenceForm(references=8), ["bakers", "glacier", "opera"]),
        (ReferenceForm(references=8, news_first=True), ["bakers", "opera", "glacier"]),
        (ReferenceForm(references=8, news_first=True, least=0), ["bakers", "opera"]),
    ],
)
def test_a_rule_names_signals_in_its_order(rule: str | ReferenceForm, expected: list[str]) -> None:
    assert said(USER, rule) == expected


def test_only_the_newest_signals_are_shown() -> None:
    assert said(USER, "headlines alone", most_shown=2) == ["bakers"]


def test_whom_a_rule_names_nothing_for_has_no_list() -> None:
    searcher = replace(reader("u", "ferry", signal("glacier ferry")), sources=(None,))
    assert said(searcher, "headlines alone") == []
    assert said(searcher, ReferenceForm(references=8)) == []
