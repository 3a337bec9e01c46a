from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from service.errors import GenerationInvalid, GenerationOverloaded, GenerationUnavailable
from service.generation.engines.calls import Call, Completion, OnLate, Sample
from service.generation.reuse import ReusingGenerator
from service.generation.student import StudentGenerator
from service.records import Degraded, KeptList, QuerySource
from service.telemetry import Metrics
from tests.unit.service.generation.builders import NOW_MS, request, signal, student


def completion(*texts: str, finished: bool = True, whole: bool = True) -> Completion:
    samples = tuple(Sample(text, whole) for text in texts)
    return Completion(samples, finished, 100, 64 if finished else 0, 10 if finished else 4, "e1")


class Engines:
    """A dispatcher that answers as it is told, and lets a test deliver the late completion."""

    def __init__(self, answer: Completion | Exception) -> None:
        self.answer = answer
        self.calls: list[tuple[Call, float]] = []
        self.on_late: OnLate | None = None

    async def complete(self, call: Call, until: float, on_late: OnLate | None = None) -> Completion:
        self.calls.append((call, until))
        self.on_late = on_late
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Setting:
    """A student over fake engines, with its metrics and what it has kept."""

    def __init__(
        self, answer: Completion | Exception, blocked: Sequence[str] = (), fails: bool = False
    ) -> None:
        self.engines = Engines(answer)
        self.metrics = Metrics(CollectorRegistry())
        self.kept: list[tuple[str, KeptList]] = []
        self.fails = fails
        self.generator = StudentGenerator(
            self.engines,
            self.metrics,
            self.keep,
            blocked=blocked,
        )

    async def keep(self, user_id: str, kept: KeptList) -> None:
        if self.fails:
            raise ConnectionError("the store is away")
        self.kept.append((user_id, kept))

    def tokens(self, kind: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "interests_tokens_total", {"student": "tiny@1", "kind": kind}
        )


async def test_the_prompt_goes_out_as_it_is_and_comes_back_as_queries() -> None:
    setting = Setting(completion("storm warning\n#1\n"))
    found = await setting.generator.generate(request(signal("comet tail", id="c")), 7.0)
    assert [(q.text, q.signals) for q in found.queries] == [
        ("storm warning", ()),
        ("comet tail", ("c",)),
    ]
    assert (found.source, found.degraded) == (QuerySource.FRESH, ())
    assert setting.engines.calls == [(Call((1, 2, 3), "tiny-1", student().decoding, "ada"), 7.0)]


async def test_samples_are_merged_and_those_without_a_query_do_not_vote() -> None:
    setting = Setting(completion("storm\ncomet", "storm", "!!!"))
    found = await setting.generator.generate(request(spec=student(n=3)), 0)
    assert [(q.text, q.weight) for q in found.queries] == [("storm", 1.0), ("comet", 0.5)]


async def test_samples_that_hold_nothing_are_invalid() -> None:
    with pytest.raises(GenerationInvalid, match="none of 2 samples of tiny@1"):
        await Setting(completion("...", "")).generator.generate(request(), 0)


async def test_errors_of_the_engines_pass_through() -> None:
    with pytest.raises(GenerationOverloaded):
        await Setting(GenerationOverloaded("full")).generator.generate(request(), 0)


async def test_a_sample_cut_by_its_length_loses_its_last_line_but_is_not_partial() -> None:
    setting = Setting(completion("storm warning\nsenate vo", whole=False))
    found = await setting.generator.generate(request(), 0)
    assert [q.text for q in found.queries] == ["storm warning"]
    assert found.degraded == ()


async def test_what_came_before_the_deadline_is_served_and_the_whole_is_kept() -> None:
    setting = Setting(completion("storm warning\nsen", finished=False, whole=False))
    found = await setting.generator.generate(request(), 0)
    assert [q.text for q in found.queries] == ["storm warning"]
    assert found.degraded == (Degraded.GENERATION_PARTIAL,)
    assert setting.engines.on_late is not None
    await setting.engines.on_late(completion("storm warning\nsenate vote"))
    [(user, kept)] = setting.kept
    assert user == "ada"
    assert (kept.student, kept.fingerprint) == (student().list_key, "now")
    assert kept.made_at_ms == NOW_MS
    assert [q.text for q in kept.queries] == ["storm warning", "senate vote"]


async def test_what_the_engine_cut_off_is_served_as_a_part_and_not_kept() -> None:
    cut = replace(completion("storm warning\nsen", finished=False, whole=False), cut_by_engine=True)
    setting = Setting(cut)
    reusing = ReusingGenerator(setting.generator, setting.keep, 3_600)
    found = await reusing.generate(request(), 0)
    await reusing.close()
    assert [q.text for q in found.queries] == ["storm warning"]
    assert (found.source, found.degraded) == (QuerySource.FRESH, (Degraded.GENERATION_PARTIAL,))
    assert setting.kept == []


async def test_an_engine_that_cut_off_everything_is_not_blamed_on_the_deadline() -> None:
    cut = replace(completion("sen", finished=False, whole=False), cut_by_engine=True)
    with pytest.raises(GenerationUnavailable, match="broke off"):
        await Setting(cut).generator.generate(request(), 0)


async def test_a_late_completion_without_a_query_is_not_kept() -> None:
    setting = Setting(completion("storm"))
    await setting.generator.generate(request(), 0)
    assert setting.engines.on_late is not None
    await setting.engines.on_late(completion("..."))
    assert setting.kept == []


async def test_a_store_that_fails_costs_the_late_list_and_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setting = Setting(completion("storm"), fails=True)
    await setting.generator.generate(request(), 0)
    assert setting.engines.on_late is not None
    with caplog.at_level(logging.WARNING):
        await setting.engines.on_late(completion("storm"))
    assert "could not be kept" in caplog.text


async def test_a_list_that_may_not_be_kept_is_not_finished_late() -> None:
    setting = Setting(completion("storm"))
    await setting.generator.generate(request(may_keep=False), 0)
    assert setting.engines.on_late is None


async def test_boilerplate_of_the_template_is_no_query() -> None:
    setting = Setting(
        completion("News search queries for the reader\nstorm"),
        ["News search queries for the reader"],
    )
    found = await setting.generator.generate(request(), 0)
    assert [q.text for q in found.queries] == ["storm"]


async def test_tokens_are_counted_once_also_when_the_rest_comes_late() -> None:
    setting = Setting(completion("storm\n", finished=False))
    await setting.generator.generate(request(), 0)
    assert (setting.tokens("prompt"), setting.tokens("output")) == (100, 4)
    assert setting.engines.on_late is not None
    await setting.engines.on_late(completion("storm\ncomet"))
    assert (setting.tokens("prompt"), setting.tokens("cached")) == (100, 64)
    assert setting.tokens("output") == 10
