"""Redis as deploy/compose.yaml starts it: the same words, run by this machine's shell."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis
import yaml

from tests.parts.dockerfile import ROOT
from tests.parts.redis import free_port, redis_binary

PASSWORD = "a-password-of-this-test"


def test_redis_takes_its_password_from_a_file_shows_it_nowhere_and_ends_when_told(
    tmp_path: Path,
) -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    port = free_port()
    (tmp_path / "redis-server").symlink_to(redis_binary())
    (tmp_path / "redis_password").write_text(f"{PASSWORD}\n")
    words = [
        word.replace("$$", "$")
        .replace("/run/secrets/", f"{tmp_path}/")
        .replace("redis-server -", f"redis-server - --port {port} --dir {tmp_path}")
        for word in compose["services"]["redis"]["command"]
    ]
    path = f"{tmp_path}:{os.environ['PATH']}"
    process = subprocess.Popen(
        words, env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    try:
        with redis.Redis(port=port, password=PASSWORD, decode_responses=True) as client:
            _wait(client, process)
            assert client.config_get("appendonly") == {"appendonly": "yes"}
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"redis-server" in shown
        assert PASSWORD.encode() not in shown
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()


def _wait(client: redis.Redis, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            assert process.poll() is None, "redis-server ended"
            assert time.monotonic() < until, "redis-server does not answer"
            time.sleep(0.05)
