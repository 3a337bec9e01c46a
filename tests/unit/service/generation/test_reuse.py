from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import GenerationTimeout
from service.generation import reuse
from service.generation.reuse import KEPT_QUERIES, ReusingGenerator, fingerprint
from service.generation.thrift import FewerSamples
from service.overload.saving import Saving, Step
from service.records import (
    Degraded,
    GenerationRequest,
    KeptList,
    Query,
    QueryList,
    QuerySource,
    Signal,
)
from tests.unit.service.generation.builders import (
    HOUR_MS,
    NOW_MS,
    kept,
    request,
    signal,
    student,
)

pytestmark = pytest.mark.jumping_clock

FRESH = QueryList(tuple(Query(f"fresh {i}") for i in range(12)), QuerySource.FRESH)


class Writer:
    """A generator that always writes the same, and remembers what it was asked."""

    def __init__(self, answer: QueryList | Exception = FRESH) -> None:
        self.answer = answer
        self.asked: list[GenerationRequest] = []

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Store:
    """Where lists are kept; `hold` makes it wait, `fail` makes it break."""

    def __init__(self) -> None:
        self.lists: list[tuple[str, KeptList]] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.fail = False

    async def keep(self, user_id: str, kept: KeptList) -> None:
        await self.hold.wait()
        if self.fail:
            raise ConnectionError("the store is away")
        self.lists.append((user_id, kept))


def reusing(writer: Writer, store: Store, max_age_s: float = 3600) -> ReusingGenerator:
    return ReusingGenerator(writer, store.keep, max_age_s)


async def test_a_list_made_from_the_same_signals_is_reused() -> None:
    writer = Writer()
    found = await reusing(writer, Store()).generate(request(kept=(kept("storm", "flood"),)), 0)
    assert found.source is QuerySource.REUSED
    assert [q.text for q in found.queries] == ["storm", "flood"]
    assert writer.asked == []


@pytest.mark.parametrize(
    "other",
    [
        kept("storm", fingerprint="then"),
        kept("storm", age_ms=HOUR_MS),
        kept("storm", age_ms=-HOUR_MS),
        kept("storm", spec=student(version="2")),
        kept("storm", spec=student(n=4)),
        kept(),
    ],
    ids=["other signals", "too old", "far ahead", "other version", "other decoding", "empty"],
)
async def test_a_list_that_does_not_fit_is_written_anew(other: KeptList) -> None:
    found = await reusing(Writer(), Store()).generate(request(kept=(other,)), 0)
    assert found.source is QuerySource.FRESH


async def test_an_age_of_nought_turns_reuse_off() -> None:
    found = await reusing(Writer(), Store(), 0).generate(request(kept=(kept("storm"),)), 0)
    assert found.source is QuerySource.FRESH


async def test_with_fewer_samples_a_list_is_kept_and_reused_as_one_of_so_many() -> None:
    """It is another list than several samples agree on: afterwards those are asked for again."""
    writer, store, step = Writer(), Store(), Step.SAMPLES
    fewer = FewerSamples(Saving(0.7, 0.85), lambda: step, lambda: 0.0)
    generator = ReusingGenerator(writer, store.keep, 3_600, fewer)
    several, one = student(n=4), student(n=1)
    asked = replace(request(signal("storm")), student=several)
    await generator.generate(asked, 0)
    await generator.close()
    assert writer.asked[0].student.decoding.n == 1
    assert store.lists[0][1].student == one.list_key
    again = replace(asked, kept=(kept("storm", spec=one),))
    assert (await generator.generate(again, 0)).source is QuerySource.REUSED
    step = Step.NOTHING
    assert (await generator.generate(again, 0)).source is QuerySource.FRESH
    assert writer.asked[1].student.decoding.n == 4


async def test_while_samples_are_saved_a_kept_list_of_several_is_reused_first() -> None:
    fewer = FewerSamples(Saving(0.7, 0.85), lambda: Step.ALL_OF_OWN, lambda: 0.0)
    generator = ReusingGenerator(Writer(), Store().keep, 3_600, fewer)
    several = student(n=4)
    asked = replace(request(kept=(kept("flood", spec=several),)), student=several)
    found = await generator.generate(asked, 0)
    assert [query.text for query in found.queries] == ["flood"]


@pytest.mark.parametrize(("fullness", "samples"), [(0.6, 4), (0.75, 1)])
async def test_engines_that_are_full_save_samples_too(fullness: float, samples: int) -> None:
    writer = Writer()
    fewer = FewerSamples(Saving(0.7, 0.85), lambda: Step.NOTHING, lambda: fullness)
    generator = ReusingGenerator(writer, Store().keep, 3_600, fewer)
    await generator.generate(replace(request(signal("storm")), student=student(n=4)), 0)
    assert writer.asked[0].student.decoding.n == samples


async def test_a_reused_list_is_cut_to_what_is_asked_for() -> None:
    lists = (kept("storm", "flood", "comet"),)
    found = await reusing(Writer(), Store()).generate(request(kept=lists, max_queries=2), 0)
    assert [q.text for q in found.queries] == ["storm", "flood"]


async def test_a_fresh_list_is_kept_whole_so_that_it_serves_a_larger_request() -> None:
    writer, store = Writer(), Store()
    generator = reusing(writer, store)
    found = await generator.generate(request(signal("storm"), max_queries=3), 0)
    await generator.close()
    assert found.queries == FRESH.queries[:3]
    assert writer.asked[0].max_queries == KEPT_QUERIES
    list_key = student().list_key
    assert store.lists == [("ada", KeptList(list_key, "now", NOW_MS, FRESH.queries))]


@pytest.mark.parametrize(
    ("answer", "may_keep"),
    [
        (replace(FRESH, degraded=(Degraded.GENERATION_PARTIAL,)), True),
        (replace(FRESH, source=QuerySource.HEURISTIC), True),
        (FRESH, False),
    ],
    ids=["partial", "not fresh", "inline signals"],
)
async def test_what_may_not_be_kept_is_not(answer: QueryList, may_keep: bool) -> None:
    store = Store()
    generator = reusing(Writer(answer), store)
    await generator.generate(request(may_keep=may_keep), 0)
    await generator.close()
    assert store.lists == []


async def test_an_error_of_the_inner_generator_passes_through() -> None:
    with pytest.raises(GenerationTimeout):
        await reusing(Writer(GenerationTimeout("late")), Store()).generate(request(), 0)


async def test_a_store_that_fails_costs_nothing_but_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store()
    store.fail = True
    generator = reusing(Writer(), store)
    with caplog.at_level(logging.WARNING):
        found = await generator.generate(request(), 0)
        await generator.close()
    assert found.source is QuerySource.FRESH
    assert "could not be kept" in caplog.text


async def test_the_answer_does_not_wait_for_the_store_and_closing_waits_only_briefly() -> None:
    store = Store()
    store.hold.clear()
    generator = reusing(Writer(), store)
    await generator.generate(request(), 0)
    began = asyncio.get_running_loop().time()
    await generator.close(timeout_s=0.01)
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.01)
    assert store.lists == []


async def test_lists_waiting_for_a_hanging_store_are_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reuse, "MAX_PENDING", 2)
    store = Store()
    store.hold.clear()
    generator = reusing(Writer(), store)
    for _ in range(5):
        await generator.generate(request(), 0)
    store.hold.set()
    await generator.close()
    assert len(store.lists) == 2
    assert "is not kept" in caplog.text


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    assert fingerprint([signal("storm", id="a")]) == "a7e9b060345fd3c8a51accc3403b9e08"


_SIGNALS = st.lists(
    st.builds(
        signal,
        st.text(max_size=5),
        st.sampled_from(["search", "news"]),
        st.integers(0, 3),
        id=st.text(max_size=3),
    ),
    max_size=4,
)


@given(_SIGNALS, _SIGNALS)
def test_fingerprints_are_equal_only_for_the_same_signals_in_the_same_order(
    one: list[Signal], other: list[Signal]
) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (one == other)
