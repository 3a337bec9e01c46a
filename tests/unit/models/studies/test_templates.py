"""The measure that templates are compared by."""

from __future__ import annotations

from models.studies.templates import figures_of, load_readers
from service.records import Signal
from service.signals.template import Template

READERS = [
    [Signal(0, "search", "night trains to Vienna", "a"), Signal(1, "news", "Ferry strike", "b")],
    [Signal(0, "video", "chess final", "c"), Signal(1, "purchase", "wooden chess set", "d")],
]


def test_a_good_list_is_valid_supported_and_not_copied(template: Template) -> None:
    outputs = [
        ("vienna rail timetable\nferry crews walk out\nsleeper train revival\n", True, 12),
        ("chess championship result\nyoung chess masters\nset of wooden toys\n", True, 12),
    ]
    figures = figures_of(READERS, outputs, template)
    assert (figures.valid, figures.three_or_more) == (1.0, 1.0)
    assert (figures.supported, figures.taken_up) == (1.0, 1.0)
    assert (figures.copied, figures.examples, figures.alike) == (0.0, 0.0, 0.0)
    assert (figures.queries, figures.output_tokens) == (3.0, 12.0)


def test_one_list_for_everybody_shows(template: Template) -> None:
    same = ("weather today\nsports results\nlottery numbers\n", True, 9)
    figures = figures_of(READERS, [same, same], template)
    assert figures.alike == 1.0
    assert figures.supported == 0.0


def test_copies_of_signals_and_of_the_template_show(template: Template) -> None:
    outputs = [("night trains to Vienna\nwrite news searches\n", True, 8), ("", True, 0)]
    figures = figures_of(READERS, outputs, template)
    assert figures.copied == 0.5
    assert figures.examples == 0.5


def test_a_short_list_is_valid_and_one_without_a_query_is_none(template: Template) -> None:
    outputs = [("night ferry\nvienna\n", True, 4), ("", True, 0)]
    figures = figures_of(READERS, outputs, template)
    assert figures.valid == 0.5
    assert figures.queries == 2.0
    assert figures.three_or_more == 0.0


def test_the_readers_are_as_many_as_the_figures_say() -> None:
    readers = load_readers()
    assert len(readers) == 20
    assert all(3 <= len(reader) <= 12 for reader in readers)
