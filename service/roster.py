"""The students that serve at this moment. They may change while requests are in work.

    take ─► new or changed: opened ─► one of its engines has answered a probe ─► in use
         └► gone or changed: out of use ─► its last calls have ended ─► closed

A request is served to its end with the student that it began with. The default student changes when
an engine of the new one answers; until then the old one serves on, though it may be wanted no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass

from service.choice import Serving, ServingStudent
from service.errors import ConfigurationError
from service.generation.engines.dispatch import Dispatcher
from service.generation.reuse import ReusingGenerator
from service.manifest import Manifest
from service.students import ConfiguredStudent, ConfiguredStudents

log = logging.getLogger(__name__)

LONGEST_S = 31.0
"""The longest deadline of a request, and a second: no request older than this is in work."""
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class OpenStudent:
    """A student whose engines are being looked after."""

    of: ConfiguredStudent
    dispatcher: Dispatcher
    serving: ServingStudent
    lists: ReusingGenerator

    @property
    def can_serve(self) -> bool:
        """Whether one of its engines has answered a probe, or it has none."""
        engines = self.dispatcher.status()
        return not engines or any(engine.state == "up" for engine in engines)

    async def close(self) -> None:
        """Let go of its engines: what still waits for them is failed."""
        await self.lists.close()
        await self.dispatcher.close()


@dataclass(eq=False, slots=True)
class _Coming:
    """A student that is not in use yet."""

    of: ConfiguredStudent
    student: OpenStudent | None = None
    """None while its files are read."""
    task: asyncio.Task[None] | None = None


class Roster:
    """Opens, changes and closes students as they are `take`n; says which are in use."""

    def __init__(
        self,
        open_student: Callable[[ConfiguredStudent], Awaitable[OpenStudent]],
        *,
        late_s: float,
        longest_s: float = LONGEST_S,
    ) -> None:
        """`late_s`: how long a call may outlive its request; `longest_s`: a request its beginning.

        So a student that is out of use is closed `longest_s` later at the earliest, and `late_s`
        after that at the latest.
        """
        self._open = open_student
        self._late_s = late_s
        self._longest_s = longest_s
        self._wanted = ConfiguredStudents({}, "")
        self._default = ""
        self._used: dict[str, OpenStudent] = {}
        self._coming: dict[str, _Coming] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changing: asyncio.Task[None] | None = None
        self._closing = False
        self._serving: Serving | None = None
        self._lasting: Mapping[str, Manifest] = {}
        self._defaults: Mapping[str, Manifest] = {}

    @property
    def serving(self) -> Serving:
        """What a request that begins now may be served with."""
        assert self._serving is not None, "it is asked before it has begun"
        return self._serving

    @property
    def default(self) -> OpenStudent:
        """The student that serves when a request does not choose."""
        return self._used[self._default]

    @property
    def lasting(self) -> Mapping[str, Manifest]:
        """Those in use that are to stay, by `name@version`: what an experiment may name.

        Any thread may ask.
        """
        return self._lasting

    @property
    def defaults(self) -> Mapping[str, Manifest]:
        """The one that serves by default and the one that is to. Any thread may ask."""
        return self._defaults

    def students(self) -> list[tuple[OpenStudent, bool]]:
        """Those that are open, and whether each is in use; not those that are out of use."""
        coming = [one.student for one in self._coming.values() if one.student is not None]
        return [
            *((student, True) for student in self._used.values()),
            *((student, False) for student in coming),
        ]

    async def begin(self, wanted: ConfiguredStudents) -> None:
        """Open the first students. All are in use at once, whether their engines answer or not.

        Raises `ConfigurationError` for files that cannot be used.
        """
        self._wanted, self._default = wanted, wanted.default
        for key, one in wanted.by_key.items():
            self._used[key] = await self._open(one)
        self._settle()

    def take(self, wanted: ConfiguredStudents) -> None:
        """Go on with other students. Returns at once; what was in use is used until they can be."""
        self._wanted = wanted
        for key, coming in list(self._coming.items()):
            if wanted.by_key.get(key) != coming.of:
                self._give_up(key)
        for key, one in wanted.by_key.items():
            used = self._used.get(key)
            if used is not None and used.of == one:
                self._give_up(key)
            elif key not in self._coming:
                coming = self._coming[key] = _Coming(one)
                coming.task = self._spawn(self._bring(coming))
        self._settle()
        if self._changing is not None:
            self._changing.cancel()
        self._changing = self._spawn(self._change_default())

    async def close(self) -> None:
        """Close all of them at once."""
        self._closing = True
        if self._changing is not None:
            self._changing.cancel()
        for key in [*self._coming]:
            self._give_up(key)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for student in self._used.values():
            await student.close()

    # -- in and out of use

    async def _bring(self, coming: _Coming) -> None:
        """Open a student and wait until it can serve; then it takes the place of the old one."""
        key = coming.of.key
        try:
            student = coming.student = await self._open(coming.of)
        except Exception as error:
            foreseen = isinstance(error, ConfigurationError)
            log.error("the student %s cannot be opened: %s", key, error, exc_info=not foreseen)
            del self._coming[key]
            return
        try:
            while not student.can_serve:
                await asyncio.sleep(_LOOK_S)
        except asyncio.CancelledError:
            await student.close()
            raise
        del self._coming[key]
        old = self._used.get(key)
        self._used[key] = student
        if old is not None:
            self._part_with(old)
        log.info("the student %s is in use", key)
        self._settle()

    async def _change_default(self) -> None:
        """Wait until the wanted default can serve."""
        if self._default != self._wanted.default:
            told = "the student %s is to serve by default as soon as one of its engines answers"
            log.info(told, self._wanted.default)
        while self._default != self._wanted.default:
            await asyncio.sleep(_LOOK_S)
            self._settle()

    def _settle(self) -> None:
        """The wanted default serves if it can; then what is no longer wanted goes out of use."""
        wanted = self._used.get(self._wanted.default)
        if wanted is not None and wanted.can_serve and self._default != self._wanted.default:
            self._default = self._wanted.default
            log.info("the student %s serves by default", self._default)
        for key in [*self._used]:
            if key not in self._wanted.by_key and key != self._default:
                self._part_with(self._used.pop(key))
        serving = {key: student.serving for key, student in self._used.items()}
        self._serving = Serving(serving, self._default)
        wanted_by_key = self._wanted.by_key
        self._lasting = {
            key: student.of.manifest for key, student in self._used.items() if key in wanted_by_key
        }
        coming = wanted_by_key[self._wanted.default]
        self._defaults = {coming.key: coming.manifest, self._default: self.default.of.manifest}

    def _give_up(self, key: str) -> None:
        """A student that is coming is wanted no more; nothing where none is."""
        coming = self._coming.pop(key, None)
        if coming is not None and coming.task is not None:
            coming.task.cancel()

    def _part_with(self, student: OpenStudent) -> None:
        log.info("the student %s is out of use, and closed when its calls end", student.of.key)
        self._spawn(self._leave(student))

    async def _leave(self, student: OpenStudent) -> None:
        """Close a student when nothing asks it for anything any more."""
        loop = asyncio.get_running_loop()
        alone_at = loop.time() + self._longest_s
        while not self._closing and loop.time() < alone_at + self._late_s:
            if loop.time() >= alone_at and not student.dispatcher.in_work:
                break
            await asyncio.sleep(_LOOK_S)
        await student.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
