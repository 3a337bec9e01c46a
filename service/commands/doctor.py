"""`interests doctor`: looks at each part and says what to do about it."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated

import httpx
import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.text import Text

from service import wiring
from service.addresses import authority
from service.commands.doctor_files import file_findings
from service.commands.doctor_index import encoder_findings, index_findings
from service.commands.doctor_redis import memory_findings
from service.commands.findings import PART_S, Finding
from service.errors import (
    ConfigurationError,
    GenerationError,
    GenerationOverloaded,
    GenerationTimeout,
    InterestsError,
    RedisUnavailable,
)
from service.experiments.overlay_redis import RedisOverlay
from service.generation.engines.calls import Call
from service.generation.engines.dispatch import Dispatcher, EngineStatus
from service.records import Signal
from service.settings import Settings, load_settings
from service.students import ConfiguredStudent
from service.telemetry import Metrics
from service.wiring_students import open_dispatcher, renderer

_FULL_PROMPT = tuple(
    Signal(
        number,
        "news",
        f"An example of a headline that a reader opens, number {number}",
        f"{number}",
    )
    for number in range(512)
)
"""More signals than any prompt shows: an engine's context must hold a whole one."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check settings, Redis, the article index, students and engines, and a running gateway."""
    settings = load_settings()
    findings = asyncio.run(examine(settings))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    if any(finding.remedy for finding in findings):
        raise typer.Exit(1)


def _print(findings: list[Finding]) -> None:
    # Lines, not a table: a command or an address in them stays whole in a narrow terminal.
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        mark = ("✗", "red") if finding.remedy else ("✓", "green")
        console.print(Text.assemble(mark, " ", (finding.part, "bold"), f": {finding.says}"))
        if finding.remedy:
            console.print(Text.assemble("    → ", (finding.remedy, "yellow")))


async def examine(settings: Settings) -> list[Finding]:
    """Look at every part; a part that cannot be looked at is a finding, never an exception."""
    redis = await _part(
        "redis",
        _check_store(settings),
        "start Redis, or set INTERESTS_REDIS_URL (and INTERESTS_REDIS_PASSWORD)",
    )
    findings = [
        redis,
        *([] if redis.remedy else await memory_findings(settings)),
        *([] if redis.remedy else await _overlay(settings)),
        *([] if redis.remedy else await _events(settings)),
        *await index_findings(settings),
        *await encoder_findings(settings),
    ]
    of_files, students = file_findings(settings)
    findings += of_files
    for student in students.by_key.values() if students else ():
        findings += await _engines(settings, student)
    findings.append(await _gateway(settings))
    if not settings.keys:
        findings.append(Finding("keys", "none: everybody who reaches the gateway may call it"))
    return findings


async def _part(part: str, check: Callable[[float], Awaitable[str]], remedy: str) -> Finding:
    until = asyncio.get_running_loop().time() + PART_S
    try:
        return Finding(part, await check(until))
    except RedisUnavailable as error:
        return Finding(part, str(error), error.remedy or remedy)
    except InterestsError as error:
        return Finding(part, str(error), remedy)


def _check_store(settings: Settings) -> Callable[[float], Awaitable[str]]:
    async def check(until: float) -> str:
        store = wiring.open_store(settings)
        try:
            await store.check(until)
        finally:
            await store.close()
        return "answers, reads and writes"

    return check


async def _overlay(settings: Settings) -> list[Finding]:
    """Whether what is done to experiments by hand can be read, where there are experiments."""
    if settings.experiments_file is None:
        return []

    async def check(until: float) -> str:
        client = wiring.open_redis(settings)
        try:
            found = await RedisOverlay(client).read(until)
        finally:
            await client.aclose()
        done = sum(action.effect is not None for action in found.actions.values())
        return f"can be read; acted on by hand: {done}"

    return [await _part("experiments", check, "give the rights that docs/signals.md lists")]


async def _events(settings: Settings) -> list[Finding]:
    """Whether exposures and feedback can be kept, in a Redis that is fine otherwise."""
    if not settings.events_kept:
        return [Finding("events", "are off: no exposures are kept, and feedback is refused")]

    async def check(until: float) -> str:
        client = wiring.open_redis(settings)
        try:
            await wiring.open_events(settings, client).check(until)
        finally:
            await client.aclose()
        return "exposures and feedback can be kept"

    return [await _part("events", check, "set INTERESTS_EVENTS_KEPT to 0 to do without them")]


async def _engines(settings: Settings, student: ConfiguredStudent) -> list[Finding]:
    urls = student.settings.engines
    if not urls:
        named = f"INTERESTS_STUDENTS__{student.name.upper()}__ENGINES"
        if settings.students_file is not None:
            named = f"students.{student.name}.engines of {settings.students_file}"
        return [
            Finding(
                f"student {student.key}",
                "has no engine: every list is made by the heuristic",
                f"start one with `{_engine_command(student)}`, and name its URL in {named}",
            )
        ]
    return await asyncio.gather(*(_engine(settings, student, url) for url in urls))


async def _engine(settings: Settings, student: ConfiguredStudent, url: str) -> Finding:
    key = student.key
    metrics = Metrics(CollectorRegistry())
    dispatcher = open_dispatcher(settings, student, metrics, urls=[url])
    await dispatcher.start()
    try:
        engine = await _settled(dispatcher)
        fault = ""
        if engine.state == "up":
            prompt = renderer(student)(_FULL_PROMPT)
            call = Call(prompt.token_ids, key, student.spec().decoding, "doctor")
            fault = await _fault(dispatcher, call)
    except ConfigurationError as error:
        fault = str(error)
    finally:
        await dispatcher.close()
    part = f"engine {engine.url}"
    if engine.state != "up":
        said = f"{engine.state}: {engine.reason}"
    elif fault:
        said = f"serves {key}, but not a whole prompt of it: {fault}"
    else:
        return Finding(part, f"serves {key}")
    command = _engine_command(student, engine.url)
    return Finding(part, said, f"start it on its machine with `{command}`")


def _engine_command(student: ConfiguredStudent, url: str = "") -> str:
    """The command that serves this student, on the port of the engine at `url`."""
    command = ["interests", "engine", "--student", str(student.folder)]
    port = re.search(r":(\d+)/?$", url)
    return shlex.join([*command, "--port", port[1]] if port else command)


async def _settled(dispatcher: Dispatcher) -> EngineStatus:
    """Give the engine the time to pass its probe, a real one-token completion."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PART_S
    while dispatcher.status()[0].state != "up" and loop.time() < until:
        await asyncio.sleep(0.05)
    return dispatcher.status()[0]


async def _fault(dispatcher: Dispatcher, call: Call) -> str:
    """What an engine in service says to a call as users make it; empty where it serves it.

    A slow engine is none that refuses: what is not whole in time was at least begun.
    """
    try:
        await dispatcher.complete(call, asyncio.get_running_loop().time() + PART_S)
    except (GenerationTimeout, GenerationOverloaded):
        return ""
    except GenerationError as error:
        return str(error)
    return ""


async def _gateway(settings: Settings) -> Finding:
    url = f"http://{authority(settings.host, settings.port)}"
    try:
        async with httpx.AsyncClient(timeout=PART_S) as client:
            ready = (await client.get(f"{url}/readyz")).json()
    except (httpx.HTTPError, ValueError):
        return Finding("gateway", f"none answers at {url} (fine, if you have not started one)")
    if not isinstance(ready, dict) or "checks" not in ready:
        return Finding("gateway", f"{url} is something else", "choose another INTERESTS_PORT")
    wrong = "; ".join(f"{part}: {said}" for part, said in ready["checks"].items() if said != "ok")
    if ready["ready"] and not wrong:
        return Finding("gateway", f"{url} is ready")
    state = "ready, on lower rungs" if ready["ready"] else "not ready"
    return Finding("gateway", f"{url} is {state}: {wrong}", "mend the parts named above")
