"""vLLM as `interests engine` starts it, on a card or on the CPU, with one thing changed."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from deploy.local.processes import Children, free_port
from loadtests.gpu.students import Measurable
from loadtests.local_gateway import HOST
from loadtests.rig.figures import Spread, spread
from loadtests.rig.loops import Request
from loadtests.rig.machine import ROOT
from models.engine.command import engine_command, find_python, this_machine
from service.errors import ConfigurationError
from service.manifest import Manifest, Speculation

_READY_S = 900.0
_OFFLINE_S = 1_800.0
_GUESS = Speculation(tokens=2, lookup_min=1, lookup_max=4)
"""Where a manifest has no speculation of its own: what `interests-small` has."""
_CARD = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"


@dataclass(frozen=True, slots=True)
class Choice:
    """What of an engine is changed between measurements."""

    speculation: bool
    seqs: int
    """`max_num_seqs`."""


@dataclass(frozen=True, slots=True)
class Offline:
    """What vLLM did without a server."""

    users_s: Spread
    tokens: float
    """Written for each user."""


@dataclass(frozen=True, slots=True)
class Engines:
    """Where engines run."""

    card: str
    """Its name; empty: the CPU."""
    python: str
    """Of the engine's environment."""
    folder: Path
    """For logs and what is handed to the offline run."""
    port: int

    @contextmanager
    def serving(self, student: Measurable, choice: Choice) -> Iterator[str]:
        """An engine for the block. Gives its URL, which is always the same.

        Raises `ConfigurationError` with its last words where it does not start, and where it has
        ended when something in the block fails.
        """
        argv, environment = self._command(student, choice)
        children, url = Children(self.folder / "log"), f"http://{HOST}:{self.port}"
        try:
            # vLLM forgets prefixes on request only then: turns must not find those of others.
            children.start("engine", argv, {**environment, "VLLM_SERVER_DEV_MODE": "1"})
            with Console(stderr=True).status(f"{student.name}: starting an engine …"):
                _wait(url, children)
            try:
                yield url
            except (httpx.HTTPError, OSError, ConfigurationError):
                children.check()
                raise
        finally:
            children.stop()

    def offline(
        self,
        student: Measurable,
        choice: Choice,
        asked: Sequence[Request],
        rounds: int,
    ) -> Offline:
        """The same engine without a server, all prompts given at once, so many times.

        Raises `ConfigurationError` with what it said where it fails.
        """
        argv, environment = self._command(student, choice)
        given = {
            "argv": argv[argv.index("--model") :],
            "bodies": [json.loads(one.body) for one in asked],
            "rounds": rounds,
        }
        file, written = self.folder / "offline.json", self.folder / "offline-found.json"
        written.unlink(missing_ok=True)
        file.write_text(json.dumps(given), encoding="utf-8")
        with Console(stderr=True).status(f"{student.name}: vLLM offline …"):
            done = subprocess.run(
                [self.python, "-m", "loadtests.gpu.offline", str(file), str(written)],
                cwd=ROOT,
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=_OFFLINE_S,
            )
        if done.returncode != 0 or not written.exists():
            said = (done.stderr.strip() or "it said nothing").splitlines()[-1]
            raise ConfigurationError(f"vLLM offline ended with {done.returncode}: {said}")
        found: dict[str, Any] = json.loads(written.read_bytes())
        return Offline(spread(found["users_s"]), found["tokens"] / len(asked))

    def _command(self, student: Measurable, choice: Choice) -> tuple[list[str], dict[str, str]]:
        # The launcher hands max_num_seqs on for the CPU only; here it is what is measured.
        seqs = ("--max-num-seqs", str(choice.seqs)) if self.card else ()
        return engine_command(
            changed(student.manifest, choice),
            student.folder,
            port=self.port,
            machine=this_machine(has_gpu=bool(self.card)),
            python=self.python,
            extra=seqs,
        )


def changed(manifest: Manifest, choice: Choice) -> Manifest:
    """The manifest with this choice."""
    guess = (manifest.engine.speculation or _GUESS) if choice.speculation else None
    engine = manifest.engine.model_copy(update={"speculation": guess, "max_num_seqs": choice.seqs})
    return manifest.model_copy(update={"engine": engine})


def engines(device: str, folder: Path) -> Engines:
    """Engines on this device, `gpu` or `cpu`.

    Raises `ConfigurationError` where there is no GPU that vLLM could use, or no vLLM.
    """
    python = find_python(os.environ, ROOT)
    card = "" if device == "cpu" else card_of(python)
    if device == "gpu" and not card:
        raise ConfigurationError(
            f"no GPU: torch in the engine's environment ({Path(python).name}) sees none. Run this "
            "where there is one, with the CUDA build of vLLM (`interests[engine-gpu]`); to try the "
            "script itself: --device cpu --tiny"
        )
    return Engines(card, python, folder, free_port())


def card_of(python: str) -> str:
    """The name of the first GPU that torch of this Python sees; empty for none, and no torch."""
    done = subprocess.run([python, "-c", _CARD], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def forget_prefixes(url: str) -> None:
    """Empty the engine's prefix cache. Raises `httpx.HTTPError` where it cannot."""
    httpx.post(f"{url}/reset_prefix_cache", timeout=60).raise_for_status()


def metrics_of(url: str) -> str:
    """The engine's `/metrics`."""
    return httpx.get(f"{url}/metrics", timeout=60).text


def _wait(url: str, children: Children) -> None:
    until = time.monotonic() + _READY_S
    while True:
        children.check()
        try:
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > until:
            raise ConfigurationError(f"the engine was not ready after {_READY_S:.0f} s")
        time.sleep(0.5)
