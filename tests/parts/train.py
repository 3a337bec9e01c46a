"""The training environment: torch and TRL, which the tests' own environment does not hold."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.parts.require import missing_part

ROOT = Path(__file__).parents[2]


def train_python() -> str:
    """The training environment's Python; where there is none, the test that asks is skipped."""
    python = os.environ.get("INTERESTS_TRAIN_PYTHON", str(ROOT / ".venv-train" / "bin" / "python"))
    probe = "import importlib.util as u, sys; sys.exit(u.find_spec('trl') is None)"
    if not Path(python).is_file() or subprocess.run([python, "-c", probe]).returncode != 0:
        missing_part("TRL", "run `make train`, or set INTERESTS_TRAIN_PYTHON")
    return python
