"""Several students as adapters over one base, on one real vLLM."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from models.commands.adapters import adapters
from models.packaging.seal import seal_student
from models.studies.templates import load_readers
from service.generation.engines.calls import Call, Completion, EngineUnfit
from service.generation.engines.completions import StreamedSamples
from service.generation.engines.dispatch import Dispatcher
from service.generation.engines.vllm import VllmEngine
from service.generation.samples import agreed_list
from service.manifest import Manifest, load_manifest
from service.records import Prompt
from service.signals.prompt import Tokenizer, load_template, render
from service.telemetry import Metrics
from tests.parts.vllm import ROOT, Engine, build, launch_engine, wait_ready

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

ADAPTERS = ROOT / ".cache" / "adapters"
BASE = "interests-small-base"
READER = load_readers()[4]
"""A made-up reader with few signals, to whom the students write different lists.

One prompt for all tests: vLLM's build for CPUs takes an adapter's tokens 30 to the second.
"""
NEAR = 0.5
"""The most that the unmerged adapter's log-probability of a token differed in 436 was 0.10."""


@dataclass(frozen=True)
class Student:
    """A student as the gateway sees it."""

    folder: Path
    manifest: Manifest

    def prompt(self) -> Prompt:
        template = load_template(self.folder / self.manifest.template.file)
        tokenizer = Tokenizer.load(self.folder / self.manifest.tokenizer.file)
        return render(READER, template, tokenizer, self.manifest.prompt_budget)

    def call(self, **changes: Any) -> Call:
        spec = self.manifest.spec()
        decoding = replace(spec.decoding, **changes)
        return Call(self.prompt().token_ids, spec.model, decoding, "reader")


@dataclass(frozen=True)
class Served:
    """The engine, the shipped student and two more of the same adapter, added less strongly.

    Nobody trained these two: an adapter's `lora_alpha` says how strongly it is added. `later` is
    not served at the start.
    """

    engine: Engine
    base: str
    shipped: Student
    half: Student
    later: Student


def weaker(shipped: Path, into: Path, version: str, alpha: int) -> Student:
    """The adapter in another folder, another version of its student, added by `alpha`."""
    shutil.copytree(shipped, into)
    config = json.loads((into / "adapter_config.json").read_text())
    (into / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": alpha}))
    raw = yaml.safe_load((into / "student.yaml").read_text())
    (into / "student.yaml").write_text(yaml.safe_dump({**raw, "version": version}))
    seal_student(into, None, lambda what, share: None)
    return Student(into, load_manifest(into))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("adapters")
    base = build(BASE)
    place = build("interests-small", ADAPTERS, "--adapter-of", BASE)
    shipped = Student(place, load_manifest(place))
    half = weaker(place, folder / "half", "9-half", 32)
    later = weaker(place, folder / "three-eighths", "9-less", 24)
    options = [f"--adapter={student.folder}" for student in (shipped, half)]
    engine = launch_engine(base, folder / "vllm.log", options=[*options, "--runtime-adapters=1"])
    try:
        yield Served(wait_ready(engine), engine.model, shipped, half, later)
    finally:
        engine.stop()


@asynccontextmanager
async def dispatching(engine: Engine, student: Student) -> AsyncIterator[Dispatcher]:
    """One student's way to its engine, with a window of one call."""
    metrics = Metrics(CollectorRegistry())
    it = Dispatcher([VllmEngine(engine.url)], [student.manifest.key], metrics, window=1)
    await it.start()
    try:
        yield it
    finally:
        await it.close()


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


def soon(seconds: float = 200.0) -> float:
    return asyncio.get_running_loop().time() + seconds


def up(it: Dispatcher) -> bool:
    return it.status()[0].state == "up"


def queries(student: Student, made: Completion) -> tuple[str, ...]:
    agreed = agreed_list(made.samples, student.prompt().shown, max_queries=8)
    return tuple(query.text for query in agreed)


def greedy(engine: Engine, model: str, prompt: Prompt, **options: Any) -> dict[str, Any]:
    """vLLM's first choice, with the log-probability of each token that it wrote."""
    body = {"model": model, "prompt": list(prompt.token_ids), "temperature": 0, "logprobs": 0}
    answer = httpx.post(f"{engine.url}/v1/completions", json={**body, **options}, timeout=200)
    answer.raise_for_status()
    return dict(answer.json()["choices"][0])


async def read_once(engine: Engine, *students: Student) -> None:
    """The prompt goes into vLLM's cache, however slow the machine is.

    A dispatcher gives an engine up that says nothing for 30 s.
    """
    for one in students:
        await asyncio.to_thread(greedy, engine, one.manifest.key, one.prompt(), max_tokens=1)


def parents(engine: Engine) -> dict[str, str | None]:
    """The names that an engine serves, each adapter's with that of its base."""
    models = httpx.get(f"{engine.url}/v1/models", timeout=60).json()["data"]
    return {model["id"]: model["parent"] for model in models}


def test_an_engine_serves_its_student_and_every_adapter_by_name(served: Served) -> None:
    shipped, half = served.shipped.manifest.key, served.half.manifest.key
    assert parents(served.engine) == {
        served.base: None,
        shipped: served.base,
        half: served.base,
    }


def test_an_adapter_beside_its_base_writes_what_the_merged_student_writes(
    served: Served, vllm_engine: Engine
) -> None:
    prompt = served.shipped.prompt()
    merged = greedy(vllm_engine, vllm_engine.model, prompt, max_tokens=32)
    beside = greedy(served.engine, served.shipped.manifest.key, prompt, max_tokens=32)
    assert beside["text"] == merged["text"]
    assert beside["logprobs"]["token_logprobs"] == pytest.approx(
        merged["logprobs"]["token_logprobs"], abs=NEAR
    )


async def test_two_students_on_one_engine_each_have_their_window_and_write_their_lists(
    served: Served,
) -> None:
    students = (served.shipped, served.half)
    await read_once(served.engine, *students)
    async with AsyncExitStack() as stack:
        ways = [
            await stack.enter_async_context(dispatching(served.engine, student))
            for student in students
        ]
        await until(lambda: all(map(up, ways)))
        made = [
            asyncio.create_task(way.complete(student.call(**changes), soon()))
            for way, student in zip(ways, students, strict=True)
            for changes in ({}, {"max_tokens": 1})
        ]
        await until(lambda: all(w.status()[0].running == w.status()[0].waiting == 1 for w in ways))
        shipped, _, half, _ = await asyncio.gather(*made)
    lists = [queries(served.shipped, shipped), queries(served.half, half)]
    assert all(2 <= len(one) <= 8 for one in lists)
    assert lists[0] != lists[1]


def command(*arguments: str) -> tuple[int, str]:
    """`interests adapters`, in this process: its exit code and all it said."""
    done = CliRunner().invoke(adapters, list(arguments))
    return done.exit_code, f"{done.output}{done.exception or ''}"


async def test_a_new_adapter_is_swapped_in_and_an_old_one_out_while_calls_go_on(
    served: Served,
) -> None:
    engine, stop = served.engine, asyncio.Event()
    at = f"--engine={engine.url}"
    texts: list[str] = []
    await read_once(engine, served.shipped, served.half)

    async def traffic(way: Dispatcher) -> None:
        while not stop.is_set():
            made = await way.complete(served.shipped.call(), soon())
            texts.append(made.samples[0].text)

    async with (
        dispatching(engine, served.shipped) as way,
        dispatching(engine, served.later) as new,
        asyncio.TaskGroup() as group,
    ):
        await until(lambda: up(way))
        group.create_task(traffic(way))
        await until(lambda: "serves" in new.status()[0].reason and len(texts) > 0)
        loaded = await asyncio.to_thread(command, "load", str(served.later.folder), at)
        assert loaded == (0, f"{served.later.manifest.key} is served by {engine.url}\n")
        again = await asyncio.to_thread(command, "load", str(served.later.folder), at)
        assert again[0] != 0
        assert "has already been loaded" in again[1]
        await until(lambda: up(new))
        await read_once(engine, served.later)
        made = await new.complete(served.later.call(), soon())
        assert len(queries(served.later, made)) >= 2
        last = asyncio.create_task(greedy_of(served, served.half))
        await until(lambda: engine.in_flight() > 1)
        unloaded = await asyncio.to_thread(command, "unload", served.half.manifest.key, at)
        assert unloaded[0] == 0, unloaded[1]
        assert (await last)["finish_reason"] == "length", "what ran has ended well"
        seen = len(texts)
        await until(lambda: len(texts) > seen)
        stop.set()
    assert len(set(texts)) == 1, "the student in service wrote the same list all along"
    gone = VllmEngine(engine.url)
    await gone.open()
    try:
        with pytest.raises(EngineUnfit, match="404"):
            await gone.stream(served.half.call(), StreamedSamples(1, 1), lambda: None)
    finally:
        await gone.close()


async def greedy_of(served: Served, student: Student) -> dict[str, Any]:
    """A call that runs for many steps, whatever the student would write."""
    prompt = student.prompt()
    return await asyncio.to_thread(
        greedy, served.engine, student.manifest.key, prompt, max_tokens=16, ignore_eos=True
    )


async def test_the_base_itself_is_not_changed_by_adapters_in_the_same_batch(
    served: Served,
) -> None:
    """vLLM's build for CPUs adds the adapter of its last place to them: ours stays empty.

    It does although as many adapters have been loaded as there was room asked for.
    """
    if served.later.manifest.key not in parents(served.engine):
        command("load", str(served.later.folder), f"--engine={served.engine.url}")
    prompt = Prompt(tuple(range(900, 930)), ())

    async def ask(model: str, **options: Any) -> list[float]:
        made = await asyncio.to_thread(greedy, served.engine, model, prompt, **options)
        return [float(value) for value in made["logprobs"]["token_logprobs"]]

    alone = await ask(served.base, max_tokens=2)
    names = (served.later.manifest.key, served.shipped.manifest.key)
    running = [asyncio.create_task(ask(name, max_tokens=64, ignore_eos=True)) for name in names]
    await until(lambda: served.engine.in_flight() == 2)
    beside = await ask(served.base, max_tokens=2)
    assert not any(task.done() for task in running), "all of it was in one batch with them"
    assert beside == pytest.approx(alone, abs=0.05)
    for adapted in await asyncio.gather(*running):
        assert adapted[:2] != pytest.approx(alone, abs=0.05)
