"""The thread before the model: texts of many callers together, bounded, never in the loop's way."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from service.encoding.onnx import OnnxEncoder, OnnxModel
from service.errors import EncoderUnavailable
from service.records import TextRole, Vectors
from tests.unit.service.encoding.fakes import vector_of


@dataclass
class FakeModel:
    """Runs once `open_gate` is set; fails while `broken`."""

    open_gate: threading.Event = field(default_factory=threading.Event)
    runs: list[tuple[TextRole, tuple[str, ...]]] = field(default_factory=list)
    broken: bool = False
    manifest: Any = field(default_factory=lambda: SimpleNamespace(key="fake@1", dimension=4))

    def encode(self, texts: Sequence[str], role: TextRole) -> Vectors:
        assert threading.current_thread() is not threading.main_thread()
        self.open_gate.wait(10)
        self.runs.append((role, tuple(texts)))
        if self.broken:
            raise EncoderUnavailable("told to fail")
        return np.array([vector_of(text) for text in texts], np.float32)


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def encoder(model: FakeModel) -> AsyncIterator[OnnxEncoder]:
    one = OnnxEncoder(cast(OnnxModel, model), max_waiting=200)
    yield one
    model.open_gate.set()
    await one.close()


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def begun(encoder: OnnxEncoder, *calls: tuple[list[str], TextRole]) -> list[Any]:
    """Tasks of these calls, the first of which has reached the thread."""
    tasks = []
    for texts, role in calls:
        tasks.append(asyncio.create_task(encoder.encode(texts, role, soon())))
        await asyncio.sleep(0.01)
    return tasks


async def test_what_came_while_the_thread_was_busy_is_run_together(
    model: FakeModel, encoder: OnnxEncoder
) -> None:
    tasks = await begun(encoder, (["a"], "query"), (["b", "c"], "query"), (["d"], "query"))
    model.open_gate.set()
    found = await asyncio.gather(*tasks)
    assert [texts for _, texts in model.runs] == [("a",), ("b", "c", "d")]
    assert np.allclose(found[1], [vector_of("b"), vector_of("c")])
    assert np.allclose(found[2], [vector_of("d")])


async def test_queries_and_articles_are_run_apart(model: FakeModel, encoder: OnnxEncoder) -> None:
    tasks = await begun(encoder, (["a"], "query"), (["b"], "article"), (["c"], "query"))
    model.open_gate.set()
    await asyncio.gather(*tasks)
    assert sorted(model.runs) == [("article", ("b",)), ("query", ("a",)), ("query", ("c",))]


async def test_more_than_may_wait_is_refused_at_once_and_the_others_are_served(
    model: FakeModel, encoder: OnnxEncoder
) -> None:
    tasks = await begun(encoder, (["a"], "query"), (["b"] * 200, "query"))
    with pytest.raises(EncoderUnavailable, match="200 texts wait"):
        await encoder.encode(["c"], "query", soon())
    model.open_gate.set()
    assert [len(found) for found in await asyncio.gather(*tasks)] == [1, 200]


async def test_a_caller_whose_time_is_up_leaves_and_is_not_run(
    model: FakeModel, encoder: OnnxEncoder
) -> None:
    tasks = await begun(encoder, (["a"], "query"))
    with pytest.raises(EncoderUnavailable, match="in time"):
        await encoder.encode(["late"], "query", soon(0.02))
    model.open_gate.set()
    await asyncio.gather(*tasks)
    assert np.allclose(await encoder.encode(["b"], "query", soon()), [vector_of("b")])
    assert [texts for _, texts in model.runs] == [("a",), ("b",)]


async def test_a_failure_reaches_all_who_were_run_together_and_nobody_after(
    model: FakeModel, encoder: OnnxEncoder
) -> None:
    model.broken = True
    tasks = await begun(encoder, (["a"], "query"), (["b"], "query"), (["c"], "query"))
    model.open_gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, EncoderUnavailable) for error in found)
    model.broken = False
    assert len(await encoder.encode(["d"], "query", soon())) == 1


async def test_closing_tells_those_who_wait(model: FakeModel, encoder: OnnxEncoder) -> None:
    tasks = await begun(encoder, (["a"], "query"), (["b"], "query"))
    await encoder.close()
    model.open_gate.set()
    for task in tasks:
        with pytest.raises(EncoderUnavailable, match="closed"):
            await task
    with pytest.raises(EncoderUnavailable, match="closed"):
        await encoder.encode(["c"], "query", soon())


def test_loading_the_library_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    """ONNX Runtime makes a device id and a database of events there unless it is told not to."""
    told = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY",)}
    told |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "PYTHONDONTWRITEBYTECODE": "1"}
    code = "import service.encoding.onnx"
    subprocess.run([sys.executable, "-c", code], env=told, check=True)
    assert list(tmp_path.iterdir()) == []
