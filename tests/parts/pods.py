"""A rendered pod's containers as processes of this machine.

Volumes become folders, and what a container says of paths, ports and other pods' names is said of
this machine's instead. Commands, arguments, environment, files of settings and probes are the
chart's own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.parts.helm import Objects
from tests.parts.redis import redis_binary

ROOT = Path(__file__).parents[2]
Secrets = Mapping[str, Mapping[str, str]]


@dataclass
class Pod:
    """A pod: its `spec` as rendered, and what stands on this machine for what is around it."""

    objects: Objects
    spec: dict[str, Any]
    folder: Path
    """An empty folder for volumes and logs."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """What is said here instead of a text of the chart's: addresses and ports."""
    claims: Mapping[str, Path] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=dict)

    def container(self, name: str) -> dict[str, Any]:
        """A container or init container by its name."""
        all_of_them = [*self.spec.get("initContainers", ()), *self.spec["containers"]]
        [found] = [one for one in all_of_them if one["name"] == name]
        return dict(found)

    def run(
        self, name: str, *command: str, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a container to its end, or, as `kubectl exec` would, a command in it."""
        return subprocess.run(
            command or self._command(name),
            env=self._environment(name),
            cwd=self._home(),
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, name: str) -> Running:
        """Start a container; the caller ends it."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._command(name),
                env=self._environment(name),
                cwd=self._home(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return Running(self, name, process, log)

    def said_here(self, name: str, text: str) -> str:
        """A text of a container's, with this machine's paths and addresses."""
        return _replaced(text, {**self.instead, **self._paths(name)})

    def _command(self, name: str) -> list[str]:
        container = self.container(name)
        words = [*container["command"], *container.get("args", ())]
        return [self.said_here(name, word) for word in words]

    def _environment(self, name: str) -> dict[str, str]:
        """What the chart sets, over what the image has: the commands, and where packages are."""
        given = {
            one["name"]: self.said_here(name, one.get("value") or self._secret(one))
            for one in self.container(name).get("env", ())
        }
        kept = {key: os.environ[key] for key in ("INTERESTS_ENGINE_PYTHON",) if key in os.environ}
        image = {"PATH": f"{self._commands()}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        temporary = str(self._paths(name).get("/tmp", self.folder))
        return {"HOME": temporary, "TMPDIR": temporary, **kept, **image, **given}

    def _secret(self, variable: Mapping[str, Any]) -> str:
        named = variable["valueFrom"]["secretKeyRef"]
        return self.secrets[named["name"]][named["key"]]

    def _paths(self, name: str) -> dict[str, str]:
        mounts = self.container(name)["volumeMounts"]
        return {mount["mountPath"]: str(self._volume(mount["name"])) for mount in mounts}

    def _volume(self, name: str) -> Path:
        """The folder that stands for a volume, filled the first time that it is asked for."""
        [volume] = [one for one in self.spec["volumes"] if one["name"] == name]
        if claim := volume.get("persistentVolumeClaim"):
            return self.claims[claim["claimName"]]
        place = self.folder / "volumes" / name
        if place.exists():
            return place
        place.mkdir(parents=True)
        if config := volume.get("configMap"):
            held = self.objects.one("ConfigMap", config["name"])["data"]
            for file, text in held.items():
                (place / file).write_text(self.said_here(self._reader(name), text))
        for source in volume.get("projected", {}).get("sources", ()):
            self._write(place, source["secret"]["name"], source["secret"]["items"])
        if secret := volume.get("secret"):
            self._write(place, secret["secretName"], secret["items"])
        return place

    def _reader(self, volume: str) -> str:
        """The main container that mounts a volume: settings speak of its paths."""
        readers = [
            one["name"]
            for one in self.spec["containers"]
            if volume in {mount["name"] for mount in one["volumeMounts"]}
        ]
        name: str = readers[0]
        return name

    def _write(self, place: Path, secret: str, items: list[dict[str, str]]) -> None:
        for item in items:
            (place / item["path"]).write_text(self.secrets[secret][item["key"]])

    def _home(self) -> Path:
        """Where processes stand: a folder that nothing is to be written into."""
        place = self.folder / "home"
        place.mkdir(exist_ok=True)
        return place

    def _commands(self) -> Path:
        """A folder with the commands of the images."""
        place = self.folder / "commands"
        if not place.exists():
            place.mkdir()
            python = sys.executable
            _script(place / "interests", f'exec {python} -m service "$@"')
            _script(place / "python", f'exec {python} "$@"')
            _script(place / "redis-server", f'exec {redis_binary()} "$@"')
        return place


@dataclass
class Running:
    """A container that runs, and what the kubelet would do with it."""

    pod: Pod
    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def probe(self, kind: str) -> bool:
        """Look once, as the probe says."""
        container = self.pod.container(self.name)
        http, limit = container[kind]["httpGet"], container[kind].get("timeoutSeconds", 1)
        [port] = [one["containerPort"] for one in container["ports"] if one["name"] == http["port"]]
        address = self.pod.said_here(self.name, str(port))
        scheme = http.get("scheme", "HTTP").lower()
        try:
            answer = httpx.get(f"{scheme}://127.0.0.1:{address}{http['path']}", timeout=limit)
        except httpx.HTTPError:
            return False
        return 200 <= answer.status_code < 400

    def await_probe(self, kind: str, limit_s: float | None = None) -> None:
        """Look as often as the probe says, at most; `limit_s` instead of its own patience."""
        probe = self.pod.container(self.name)[kind]
        until = time.monotonic() + (limit_s or probe["periodSeconds"] * probe["failureThreshold"])
        while not self.probe(kind):
            said = self.log.read_text(errors="replace")[-2000:]
            assert self.process.poll() is None, f"{self.name} has ended: {said}"
            assert time.monotonic() < until, f"{kind} of {self.name} failed: {said}"
            time.sleep(0.1)

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def _replaced(text: str, instead: Mapping[str, str]) -> str:
    """Every text in `instead`, the longest first, in one pass: what is put in stays."""
    if not instead:
        return text
    longest = sorted(instead, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest)), lambda found: instead[found[0]], text)
