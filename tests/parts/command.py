"""`interests …` run in this process, without the second that starting another one takes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

from typer.testing import CliRunner

from service.cli import main


def interests_here(
    *words: str, env: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """What a process of its own would say and end with, by the same `main`.

    `env` adds to the environment, whose own `INTERESTS_…` are left out.
    """
    others = {name: None for name in os.environ if name.startswith("INTERESTS_")}
    with (
        _standard_input(stdin.encode()),
        _logging_as_before(),
        patch.object(sys, "argv", ["interests", *words]),
        CliRunner().isolation(env={**others, **env}) as (out, err, _),
    ):
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
        return subprocess.CompletedProcess(
            words, status, out.getvalue().decode(), err.getvalue().decode()
        )


@contextmanager
def _logging_as_before() -> Iterator[None]:
    """A command that logs writes to its own standard error, which is closed after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@contextmanager
def _standard_input(content: bytes) -> Iterator[None]:
    """The commands read descriptor 0 itself, so that is what has to be another one meanwhile."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        before = os.dup(0)
        os.dup2(file.fileno(), 0)
        try:
            yield
        finally:
            os.dup2(before, 0)
            os.close(before)
