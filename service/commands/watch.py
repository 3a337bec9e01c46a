"""`interests experiments watch`: the process that pauses experiments which break their guard."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from service import wiring
from service.commands.overlay import experiments_file
from service.errors import InvalidInput, OverlayUnavailable
from service.events.streams import PARTITIONS, stream_key
from service.experiments.definitions import Experiments
from service.experiments.file import RefusedFile, read_experiments
from service.experiments.watcher import ROUND_S, Watcher
from service.logs import configure_logging
from service.parts import wall_ms
from service.repeating import Repeating
from service.settings import Settings, load_settings

log = logging.getLogger(__name__)


def watch(
    once: Annotated[bool, typer.Option("--once", help="Look once, say what was counted.")] = False,
) -> None:
    """Pause experiments by themselves when they break the guard in their file, until Ctrl-C."""
    settings = load_settings()
    configure_logging(settings.log_level)
    asyncio.run(_watch(settings, once=once))


async def _watch(settings: Settings, *, once: bool) -> None:
    experiments = _last_good(experiments_file(settings))
    streams = [stream_key(partition) for partition in range(PARTITIONS)]
    client = wiring.open_redis(settings)
    watcher = Watcher(client, streams, experiments, wall_ms)
    try:
        if once:
            if not await watcher.round():
                raise InvalidInput("another watcher is at work: nothing was done", field="--once")
            for line in watcher.counts() or ["no experiment has a guard"]:
                typer.echo(line)
        else:
            await _until_told(watcher)
    finally:
        try:
            await watcher.close()
        except OverlayUnavailable:
            log.info("the lock could not be given back: the next watcher begins in half a minute")
        await client.aclose()


async def _until_told(watcher: Watcher) -> None:
    """Look again and again until SIGTERM or SIGINT."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    rounds = Repeating(
        watcher.round, ROUND_S, "watching the experiments", foreseen=(OverlayUnavailable,)
    )
    rounds.start()
    try:
        await told.wait()
    finally:
        await rounds.stop()


def _last_good(path: Path) -> Callable[[], Experiments]:
    """What the file says at each call, or said when it could last be used.

    Raises `ConfigurationError` for a file that cannot be used now: there is no last good one yet.
    """
    held, wrong = read_experiments(path, None).experiments, ""

    def read() -> Experiments:
        nonlocal held, wrong
        try:
            held, said = read_experiments(path, None).experiments, ""
        except RefusedFile as error:
            said = str(error)
        if said and said != wrong:
            log.warning("the file cannot be used, the last good one goes on: %s", said)
        wrong = said
        return held

    return read
