"""Settings, files and signals: what an operator gets wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping

import orjson

from loadtests.attack.stage import Stage
from loadtests.attack.table import Seen, attack
from loadtests.local_gateway import environment_of

_STUDENT = "STUDENTS__MAIN__MANIFEST"


def _one_line(done: subprocess.CompletedProcess[str]) -> Seen:
    lines = done.stderr.strip().splitlines()
    held = done.returncode == 2 and len(lines) == 1
    return Seen(f"exit code {done.returncode}, {len(lines)} lines", held)


def _refused(stage: Stage, settings: Mapping[str, str]) -> Seen:
    """`serve` must not start; where it does it is ended."""
    try:
        return _one_line(stage.interests("serve", "--port", "0", settings=settings, timeout_s=15))
    except subprocess.TimeoutExpired:
        return Seen("served", held=False)


@attack("settings", "an unknown name")
def _unknown_name(stage: Stage) -> Seen:
    return _refused(stage, {"REDDIS_URL": "redis://127.0.0.1"})


@attack("settings", "an engine that is no URL")
def _no_url(stage: Stage) -> Seen:
    return _refused(stage, {"STUDENTS__MAIN__ENGINES": "engine-1:8000"})


@attack("settings", "an empty secret")
def _empty_secret(stage: Stage) -> Seen:
    rights = {"KEYS__BACKEND__SECRET": "", "KEYS__BACKEND__RIGHTS": '["interests"]'}
    return _refused(stage, rights)


@attack("settings", "two keys with one secret")
def _shared_secret(stage: Stage) -> Seen:
    names = ("A", "B")
    secrets = {f"KEYS__{name}__SECRET": "the-same-secret" for name in names}
    return _refused(stage, {**secrets, **{f"KEYS__{n}__RIGHTS": '["interests"]' for n in names}})


@attack("settings", "broken YAML")
def _broken_yaml(stage: Stage) -> Seen:
    file = stage.scratch / "broken.yaml"
    file.write_text("students: [main\n")
    return _refused(stage, {"CONFIG": str(file)})


@attack("settings", "LOG_LEVEL=INFO")
def _level(stage: Stage) -> Seen:
    done = stage.interests("settings", settings={"LOG_LEVEL": "INFO"})
    return Seen(f"exit code {done.returncode}", done.returncode == 0)


@attack("articles", "dates at the ends of time")
def _odd_dates(stage: Stage) -> Seen:
    found = []
    for number, published in enumerate(("0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00")):
        file = stage.scratch / f"dates{number}.jsonl"
        article = {"id": "odd", "title": "An odd date", "published": published}
        file.write_bytes(orjson.dumps(article))
        settings = {"DATA_DIR": str(stage.scratch / "other")}
        found.append(_one_line(stage.interests("index", "load", str(file), settings=settings)))
    return Seen("; ".join(seen.what for seen in found), all(seen.held for seen in found))


@attack("start", "SIGTERM at the moment of listening, five times")
def _early_sigterm(stage: Stage) -> Seen:
    found = []
    settings = {**stage.settings, "PORT": "0", "DRAIN_DELAY_S": "0"}
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve"],
            cwd=stage.scratch,
            env=environment_of(stage.tree, settings),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "listening" in line:
                break
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        found.append(process.returncode)
    return Seen(f"exit codes {found}", set(found) == {0})
