"""From settings to students: their engines behind a dispatcher, and the ladder of their lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from service.choice import ServingStudent
from service.errors import ConfigurationError
from service.experiments.servable import Servable
from service.generation.engines.calls import Engine
from service.generation.engines.dispatch import Dispatcher, SpareRoom
from service.generation.ladder import LadderGenerator, NoEngine, TopRung
from service.generation.reuse import Keep, ReusingGenerator, fingerprint
from service.generation.student import StudentGenerator
from service.protocols import Generator
from service.records import Prompt, Signal
from service.remembered import remembered
from service.roster import OpenStudent
from service.settings import Settings
from service.signals.prompt import Tokenizer, load_template, render
from service.students import ConfiguredStudent, ConfiguredStudents, of_file, of_settings
from service.telemetry import Metrics
from service.tracing import UNTRACED, Tracing
from service.wiring import secret_of, servable, tls_of

_tokenizers: WeakValueDictionary[str, Tokenizer] = WeakValueDictionary()
"""Those in use, by checksum. Reading one holds up the whole process, in whichever thread it is done
(the library keeps Python's lock): students that share one have it read once."""


def configured_students(settings: Settings) -> ConfiguredStudents:
    """The students of the settings, or of the file that they name.

    Raises `ConfigurationError` for what cannot be served: see `of_file` and `of_settings`.
    """
    if settings.students_file is not None:
        return read_students(settings.students_file)
    return of_settings(settings.students, settings.default_student)


def read_students(path: Path) -> ConfiguredStudents:
    """See `of_file`; also raises `ConfigurationError` for an engine that no URL or key leads to."""
    found = of_file(path)
    for student in found.by_key.values():
        place = ("students", student.name)
        try:
            engines_of(student)
        except ConfigurationError as error:
            raise ConfigurationError(found.line((*place, "engines"), str(error))) from error
        try:
            template_lines(student)
        except ConfigurationError as error:
            raise ConfigurationError(found.line((*place, "manifest"), str(error))) from error
    return found


def servable_of(students: ConfiguredStudents) -> Servable:
    """What arms of experiments may ask for, where these are the students."""
    found = students.manifests()
    return servable(found, {students.default: found[students.default]})


def renderer(student: ConfiguredStudent) -> Callable[[tuple[Signal, ...]], Prompt]:
    """How this student's prompt is made from signals. Reads its files."""
    manifest = student.manifest
    tokenizer = _tokenizer(student)
    template = load_template(student.folder / manifest.template.file)

    def prompt(signals: tuple[Signal, ...]) -> Prompt:
        return render(signals, template, tokenizer, manifest.prompt_budget)

    return remembered(prompt)


def _tokenizer(student: ConfiguredStudent) -> Tokenizer:
    named = student.manifest.tokenizer
    if (tokenizer := _tokenizers.get(named.sha256)) is None:
        tokenizer = _tokenizers[named.sha256] = Tokenizer.load(student.folder / named.file)
    return tokenizer


def template_lines(student: ConfiguredStudent) -> frozenset[str]:
    """The lines of the student's own template: no queries, though it may echo them."""
    template = load_template(student.folder / student.manifest.template.file)
    lines = (*template.prefix.splitlines(), *template.cue.splitlines(), *template.markers)
    return frozenset(line.strip() for line in lines if line.strip())


def engines_of(
    student: ConfiguredStudent,
    urls: Sequence[str] | None = None,
    tracing: Tracing = UNTRACED,
) -> list[Engine]:
    """The student's engines, or those at `urls`. Nothing is sent.

    Raises `ConfigurationError` for a URL or a certificate that cannot be used.
    """
    given = student.settings
    tls = tls_of(student.tls_name, given.tls)
    key = secret_of(given.api_key)
    urls = given.engines if urls is None else urls
    if not urls:
        return []
    from service.generation.engines.vllm import VllmEngine

    return [VllmEngine(url, api_key=key, tls=tls, tracing=tracing) for url in urls]


def open_dispatcher(
    settings: Settings,
    student: ConfiguredStudent,
    metrics: Metrics,
    *,
    urls: Sequence[str] | None = None,
) -> Dispatcher:
    """The student's engines, or those at `urls`, behind their windows; nothing is sent before it is
    started."""
    return Dispatcher(
        engines_of(student, urls, metrics.tracing),
        [student.key],
        metrics,
        window=student.settings.window,
        queue=student.settings.queue,
        late_ms=settings.late_ms,
        student=student.key,
    )


async def open_student(
    settings: Settings, keep: Keep, metrics: Metrics, student: ConfiguredStudent
) -> OpenStudent:
    """Begin to look after a student's engines. Its files are read in a thread.

    Raises `ConfigurationError` for files that cannot be used.
    """
    render_prompt, blocked = await asyncio.to_thread(
        lambda: (renderer(student), template_lines(student))
    )
    dispatcher = open_dispatcher(settings, student, metrics)
    await dispatcher.start()
    fresh: Generator = NoEngine()
    spare: Generator = NoEngine()
    language = settings.index_language
    if student.settings.engines:
        fresh, spare = (
            StudentGenerator(completer, metrics, keep, blocked=blocked, language=language)
            for completer in (dispatcher, SpareRoom(dispatcher))
        )
    reusing = ReusingGenerator(fresh, keep, settings.reuse_max_age_s)
    # Written whole and then cut, as a list that is served, but never one that was kept.
    spare_lists = ReusingGenerator(spare, keep, max_age_s=0)
    serving = ServingStudent(
        spec=student.spec(),
        render=render_prompt,
        fingerprint=remembered(fingerprint),
        generator=LadderGenerator(reusing, settings.stale_max_age_s, language),
        spare=TopRung(spare_lists, language),
    )
    return OpenStudent(student, dispatcher, serving, reusing)
