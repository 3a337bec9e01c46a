"""Libraries imported without the parts of them that this service never uses.

Rooms that stand on such a library import it here first, in their `__init__`: a library is imported
once in a process, and whoever comes first says how.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_ABSENT: None = None
"""In `sys.modules`: importing it raises `ModuleNotFoundError`, as where it is not installed."""


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Let libraries do without these optional modules of theirs, if they are imported in the block.

    Whoever imports such a module later finds it.
    """
    hidden = [name for name in modules if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = _ABSENT  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextmanager
def models_built_when_used() -> Iterator[None]:
    """Have pydantic build models of libraries that are imported in the block at their first use.

    FastAPI comes with forty that describe an OpenAPI document, which few processes ever show.
    """
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
    try:
        yield
    finally:
        del BaseModel.model_config["defer_build"]
