"""What several integration tests share: the demo data, loaded once, and who goes last."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.demo.__main__ import write_demo

NEWEST = datetime(2025, 6, 1, tzinfo=UTC)
"""The time of the newest demo article: long ago for any clock, so every run sees the same."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that kill the session's engine come after all others that use it."""
    items.sort(key=lambda item: item.get_closest_marker("kills_vllm") is not None)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Files of the demo's articles and signals."""
    articles, signals = write_demo(tmp_path_factory.mktemp("demo"), newest=NEWEST)
    return articles, signals


@pytest.fixture(scope="session")
def loaded_index(tmp_path_factory: pytest.TempPathFactory, demo: tuple[Path, Path]) -> Path:
    """A data folder whose embedded index holds the demo articles. Not to be changed."""
    folder = tmp_path_factory.mktemp("data")
    interests("index", "load", str(demo[0]), env={"INTERESTS_DATA_DIR": str(folder)})
    return folder


@pytest.fixture(scope="module")
def demo_index(tmp_path_factory: pytest.TempPathFactory, loaded_index: Path) -> Path:
    """A module's own copy of the loaded data folder."""
    folder = tmp_path_factory.mktemp("data") / "copy"
    shutil.copytree(loaded_index, folder, symlinks=True)
    return folder


def interests(*arguments: str, env: dict[str, str]) -> str:
    """Run `interests …` as a user would; its output. Fails the test if it fails."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("INTERESTS_")}
    done = subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env={**ours, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
