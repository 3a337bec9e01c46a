"""Asking a running engine for the lists of many users, by the code that serves them.

Rendering, protocol, parsing and consensus are the gateway's own; what is missing is its deadline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from models.packaging.build import built_folder
from models.packaging.registry import find_student
from models.progress import Progress, untold
from service.defaults import MAX_QUERIES
from service.errors import ConfigurationError, GenerationError
from service.generation.engines.calls import Call, Completion
from service.generation.engines.completions import StreamedSamples
from service.generation.engines.vllm import VllmEngine
from service.generation.samples import agreed_list
from service.manifest import MANIFEST, Manifest, verify
from service.records import Decoding, Prompt, Query, Signal
from service.signals.prompt import Template, Tokenizer, load_template, render

T = TypeVar("T")

AT_ONCE = 8
"""Users in flight at each engine."""
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class AskedStudent:
    """What it takes to write a student's prompts and read its answers."""

    manifest: Manifest
    template: Template
    tokenizer: Tokenizer

    @property
    def key(self) -> str:
        """`name@version`, which its engine serves it as."""
        return self.manifest.key

    def prompt(self, signals: Sequence[Signal]) -> Prompt:
        """The prompt for signals, oldest first."""
        return render(signals, self.template, self.tokenizer, self.manifest.prompt_budget)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine wrote for one user."""

    prompt: Prompt
    completion: Completion
    queries: tuple[Query, ...]
    """Empty where nothing in it is a usable query."""
    seconds: float
    """From the call to its end, with the other users in flight."""


def load_student(wanted: str, into: Path) -> AskedStudent:
    """A student by name, `name@version` or folder; by name its built folder under `into`.

    Raises `ConfigurationError` where it is unknown, not built or torn.
    """
    entry = find_student(wanted)
    given = (Path(wanted) / MANIFEST).is_file() or Path(wanted).is_file()
    folder = entry.folder if given else built_folder(entry.manifest, into)
    verify(entry.manifest, folder, weights=False)
    return AskedStudent(
        entry.manifest,
        load_template(folder / entry.manifest.template.file),
        Tokenizer.load(folder / entry.manifest.tokenizer.file),
    )


async def ask_for_lists(
    urls: Sequence[str],
    student: AskedStudent,
    users: Mapping[str, Sequence[Signal]],
    *,
    max_queries: int = MAX_QUERIES,
    at_once: int = AT_ONCE,
    api_key: str | None = None,
    progress: Progress = untold,
) -> dict[str, Answer]:
    """Answers by user id. Users take turns at the engines, `at_once` in flight at each.

    A user without signals is not asked. Raises `ConfigurationError` where an engine is not there,
    serves another model or fails.
    """
    prompts = {name: student.prompt(signals) for name, signals in users.items() if signals}
    done = await complete(
        urls,
        student.key,
        [prompt.token_ids for prompt in prompts.values()],
        student.manifest.spec().decoding,
        at_once=at_once,
        api_key=api_key,
        progress=progress,
    )
    return {
        name: Answer(
            prompt,
            completion,
            agreed_list(completion.samples, prompt.shown, max_queries=max_queries),
            seconds,
        )
        for (name, prompt), (completion, seconds) in zip(prompts.items(), done, strict=True)
    }


async def complete(
    urls: Sequence[str],
    model: str,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    at_once: int = AT_ONCE,
    api_key: str | None = None,
    progress: Progress = untold,
) -> list[tuple[Completion, float]]:
    """The completion of each prompt, and the seconds it took. Raises `ConfigurationError`."""
    engines = [VllmEngine(url, api_key=api_key) for url in urls]
    room = [asyncio.Semaphore(at_once) for _ in engines]

    async def ask(place: int) -> tuple[Completion, float]:
        number = place % len(engines)
        engine = engines[number]
        into = StreamedSamples(decoding.n, len(prompts[place]))
        call = Call(tuple(prompts[place]), model, decoding, str(place))
        async with room[number]:
            started = time.perf_counter()
            await _told(engine, model, engine.stream(call, into, lambda: None))
            seconds = time.perf_counter() - started
        if (cut := into.cut_short) is not None:
            raise ConfigurationError(f"the engine at {engine.url} {cut}; start it again")
        progress(1)
        return into.completion(engine.url), seconds

    try:
        for engine in engines:
            await engine.open()
            await _check(engine, model)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(place)) for place in range(len(prompts))]
        return [task.result() for task in tasks]
    except* ConfigurationError as errors:
        raise _first(errors) from None
    finally:
        for engine in engines:
            await engine.close()


async def check_engines(urls: Sequence[str], model: str, api_key: str | None = None) -> None:
    """Return if every engine is there and serves this model. Raises `ConfigurationError`."""
    for url in urls:
        engine = VllmEngine(url, api_key=api_key)
        try:
            await engine.open()
            await _check(engine, model)
        finally:
            await engine.close()


async def _check(engine: VllmEngine, model: str) -> None:
    served = await _told(engine, model, engine.models(), 10.0)
    if model not in served:
        raise ConfigurationError(
            f"the engine at {engine.url} serves {', '.join(served) or 'nothing'}, not {model}; "
            f"start the right one: `interests engine --student {model}`"
        )


async def _told(
    engine: VllmEngine, model: str, waiting: Awaitable[T], seconds: float = TIMEOUT_S
) -> T:
    """The result; what goes wrong says which engine and what to do."""
    try:
        async with asyncio.timeout(seconds):
            return await waiting
    except TimeoutError:
        raise ConfigurationError(
            f"the engine at {engine.url} did not answer within {seconds:.0f} s"
        ) from None
    except GenerationError as error:
        raise ConfigurationError(
            f"the engine at {engine.url}: {error}; start one: `interests engine --student {model}`"
        ) from error


def _first(errors: BaseExceptionGroup) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
