"""`interests …` run in this process, without the second that starting another one takes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
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
        patch.object(sys, "argv", ["interests", *words]),
        CliRunner().isolation(stdin, {**others, **env}) as (out, err, _),
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
