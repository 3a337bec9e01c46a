"""Load for a gateway of your own, with Locust: `pip install 'interests[load]'`, or `locust` alone.

    locust -f loadtests/locustfile.py --host https://interests.example --user-ids users.txt
    locust -f loadtests/locustfile.py --host … --user-ids users.txt --headless -u 200 -r 20 -t 5m

`users.txt` has a user id a line, of users whose signals are stored. Without it the users are
`demo-0` to `demo-999`, whom nobody knows: they get popular articles. A share of the requests
(`--inline-share`) bring a session's signals with them, so that their lists are written anew.
Nothing is stored unless `--writes` is given; then one call in ten appends a signal to its user.

Each request stands in Locust's table by how it was answered: `/v1/interests reused`, `… fresh`,
`… stale`, `… heuristic`. What was refused (429) is a failure, and so is a degraded answer with
`--whole`. Locust's users wait for their answers before they ask again: a slow service is asked
less. For times that no caller's patience hides, see the open loop in `loadtests/README.md`.
"""

from __future__ import annotations

import os
import random
import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task

_UNKNOWN = [f"demo-{number}" for number in range(1_000)]
_DOMAINS = ("search", "browse", "purchase", "video", "news")
_SUBJECTS = ("harbour", "heat pump", "night train", "league final", "vaccine", "rent", "satellite")
_ASPECTS = ("price", "opening date", "what it means", "test", "guide", "near me", "this year")
_SHOWN = 200
"""Letters of a refusal that are shown."""
_SESSION = 6
"""Signals that an inline request brings."""


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """Our options beside Locust's own; each can be given as an environment variable, too."""
    parser.add_argument("--user-ids", default="", env_var="INTERESTS_LOAD_USER_IDS")
    parser.add_argument("--key", default="", env_var="INTERESTS_LOAD_KEY", is_secret=True)
    parser.add_argument("--limit", type=int, default=100, help="candidates of an answer")
    parser.add_argument("--timeout-ms", type=int, default=0, help="deadline; the student's own")
    parser.add_argument("--inline-share", type=float, default=0.2)
    parser.add_argument("--per-user", type=float, default=1.0, help="requests/s of each user")
    parser.add_argument("--writes", action="store_true", help="also append signals")
    parser.add_argument("--whole", action="store_true", help="degraded answers are failures")


@events.test_start.add_listener
def read_users(environment: Any, **_: Any) -> None:
    """Read the user ids once. Ends the run where the file has none or cannot be read."""
    path = environment.parsed_options.user_ids
    try:
        lines = Path(path).read_text().splitlines() if path else _UNKNOWN
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"--user-ids: {path} cannot be read: {error}") from None
    environment.user_ids = [line.strip() for line in lines if line.strip()]
    if not environment.user_ids:
        raise SystemExit(f"--user-ids: {path} holds no user id")


class Backend(FastHttpUser):
    """A recommendation backend that asks for one user after another."""

    def wait_time(self) -> float:
        """Until the next request, so that there are as many a second as `--per-user` says."""
        return float(constant_throughput(self._options.per_user)(self))

    def on_start(self) -> None:
        """What every call of this user has in common."""
        self._options = self.environment.parsed_options
        key = self._options.key
        self._headers = {"X-API-Key": key} if key else {}
        self._random = random.Random(os.urandom(8))

    @task(9)
    def interests(self) -> None:
        """Ask for a user's candidates."""
        body: dict[str, Any] = {"user_id": self._user(), "limit": self._options.limit}
        if self._options.timeout_ms:
            body["timeout_ms"] = self._options.timeout_ms
        if self._random.random() < self._options.inline_share:
            body["signals"] = [self._signal(minutes) for minutes in range(_SESSION)]
        with self.client.post(
            "/v1/interests", json=body, headers=self._headers, catch_response=True
        ) as reply:
            if reply.status_code != 200:
                reply.failure(f"status {reply.status_code}: {(reply.text or '')[:_SHOWN]}")
                return
            answer = reply.json()
            reply.request_meta["name"] = f"/v1/interests {answer['source']['queries']}"
            if self._options.whole and answer["degraded"]:
                reply.failure(f"degraded: {', '.join(answer['degraded'])}")

    @task(1)
    def append(self) -> None:
        """Store a signal, where `--writes` allows it; else ask once more."""
        if not self._options.writes:
            self.interests()
            return
        body = {"user_id": self._user(), "signals": [self._signal(0)]}
        self.client.post("/v1/signals", json=body, headers=self._headers)

    def _user(self) -> str:
        return str(self._random.choice(self.environment.user_ids))

    def _signal(self, minutes_ago: int) -> dict[str, str]:
        at = datetime.fromtimestamp(time.time() - 60 * minutes_ago, UTC)
        text = f"{self._random.choice(_SUBJECTS)} {self._random.choice(_ASPECTS)}"
        return {"at": at.isoformat(), "domain": self._random.choice(_DOMAINS), "text": text}
