"""`interests experiments pause`, `resume`, `ramp`, `stop`, `history`: what people do by hand."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from service import wiring
from service.errors import ConfigurationError, InvalidInput, OverlayUnavailable
from service.experiments.definitions import Experiments
from service.experiments.overlay import (
    WATCHER,
    Act,
    Action,
    Overlay,
    next_action,
    standing,
    strangers,
)
from service.experiments.overlay_redis import RedisOverlay
from service.experiments.schema import points
from service.parts import wall_ms
from service.settings import Settings, load_settings
from service.yaml_files import read_fields

T = TypeVar("T")

_DO_S = 5.0
_LOOK_S = 2.0
"""For commands that only look: they go on without."""

Key = Annotated[str, typer.Argument(help="Key of an experiment.")]
Why = Annotated[str, typer.Option(help="The reason, for all who wonder.")]
By = Annotated[str | None, typer.Option(help="Who does it; the user of this machine when absent.")]


def pause(key: Key, why: Why, by: By = None) -> None:
    """Enrol nobody in an experiment, until it is resumed."""
    _act(Act.PAUSE, key, why, by)


def resume(
    key: Key,
    why: Why,
    by: By = None,
    traffic: Annotated[
        str | None, typer.Option(help="Share to go on with, such as 5%; as before when absent.")
    ] = None,
) -> None:
    """Go on with an experiment that was paused by hand, or by the watcher."""
    _act(Act.RESUME, key, why, by, None if traffic is None else _share(traffic))


def ramp(
    key: Key,
    why: Why,
    traffic: Annotated[
        str, typer.Option(help="Share of its users to enrol, such as 5%; `file`: the file's again.")
    ],
    by: By = None,
) -> None:
    """Enrol another share of an experiment's users than the file says."""
    _act(Act.RAMP, key, why, by, None if traffic == "file" else _share(traffic))


def stop(key: Key, why: Why, by: By = None) -> None:
    """End an experiment for good: nobody is enrolled ever again under this key."""
    _act(Act.STOP, key, why, by)


def history(
    key: Annotated[str | None, typer.Argument(help="Of this experiment alone.")] = None,
) -> None:
    """Show the last hundred things that were done by hand, the newest first."""
    found = with_overlay(load_settings(), lambda overlay, until: overlay.history(until))
    lines = [f"{one}: {action.told()}" for one, action in found if key in (None, one)]
    for line in lines or ["nothing was done by hand"]:
        typer.echo(line)


def experiments_file(settings: Settings) -> Path:
    """The file in use. Raises `ConfigurationError`."""
    if settings.experiments_file is None:
        raise ConfigurationError("INTERESTS_EXPERIMENTS_FILE is not set: set it, or name a file")
    return settings.experiments_file


def overlay_or_none(settings: Settings) -> Overlay | None:
    """The overlay; None, and a line on stderr that says so, where Redis does not give it."""
    try:
        return with_overlay(settings, lambda overlay, until: overlay.read(until), _LOOK_S)
    except OverlayUnavailable as error:
        typer.echo(f"what was done by hand could not be read and is left out: {error}", err=True)
        return None


def lines_of(experiments: Experiments, overlay: Overlay | None) -> Iterator[str]:
    """What stands by hand, a line for each experiment, and what the overlay has besides."""
    if overlay is None:
        return
    for key, action in standing(experiments, overlay):
        yield f"by hand: {key}: {action.told()}"
    if others := strangers(experiments, overlay):
        yield f"by hand: of no experiment of the file, changes nothing: {', '.join(others)}"
    for key in overlay.unreadable:
        yield f"by hand: {key}: {_UNREADABLE}"


def with_overlay(
    settings: Settings,
    work: Callable[[RedisOverlay, float], Awaitable[T]],
    seconds: float = _DO_S,
) -> T:
    """What `work` gives in so many seconds. Raises `OverlayUnavailable`."""

    async def run() -> T:
        client = wiring.open_redis(settings)
        try:
            until = asyncio.get_running_loop().time() + seconds
            return await work(RedisOverlay(client), until)
        finally:
            await client.aclose()

    return asyncio.run(run())


_UNREADABLE = (
    "what was done cannot be read: it is of a later version, or no action; use that version, or"
    " remove it: redis-cli HDEL experiments:{overlay} KEY"
)


def _act(act: Act, key: str, why: str, by: str | None, traffic: int | None = None) -> None:
    settings = load_settings()
    if by == WATCHER:
        raise InvalidInput(
            f"{WATCHER} is what `interests experiments watch` is called", field="--by"
        )
    _check_key(key, experiments_file(settings))
    asked = Action(act, by if by is not None else _user(), why.strip(), wall_ms(), traffic)

    async def change(overlay: RedisOverlay, until: float) -> Action:
        held = await overlay.read(until)
        if key in held.unreadable:
            raise InvalidInput(_UNREADABLE, field=key)
        before = held.actions.get(key)
        after = next_action(before, asked, key)
        await overlay.change(key, before, after, until)
        return after

    done = with_overlay(settings, change)
    typer.echo(f"{key}: {done.told()}. Gateways follow within two seconds.")


def _check_key(key: str, path: Path) -> None:
    """Raise `InvalidInput` for a key that the file does not have.

    The file need not be one that can be used: what its last good version runs must be stopped all
    the same.
    """
    try:
        keys = list(_keys(read_fields(path, "file of experiments").fields))
    except ConfigurationError as error:
        typer.echo(f"whether there is such an experiment is not known: {error}", err=True)
        return
    if key not in keys:
        alike = get_close_matches(key, keys, n=1)
        meant = f"did you mean {alike[0]}? " if alike else ""
        known = ", ".join(keys) or "none"
        raise InvalidInput(f"is no experiment of {path}; {meant}There are: {known}", field=key)


def _keys(fields: Any) -> Iterator[str]:
    """Keys of experiments in a file that need not be right."""
    for layer in _list(fields, "layers"):
        for one in _list(layer, "experiments"):
            if isinstance(one, dict) and "key" in one:
                yield str(one["key"])


def _list(fields: Any, name: str) -> list[Any]:
    found = fields.get(name) if isinstance(fields, dict) else None
    return found if isinstance(found, list) else []


def _share(text: str) -> int:
    try:
        return points(text)
    except ValueError as error:
        raise InvalidInput(str(error), field="--traffic") from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise InvalidInput("give it: this machine does not say who you are", field="--by") from None
