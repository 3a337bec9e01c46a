"""What metrics and traces cost: one scrape of every series, and requests with traces off and on.

    python -m loadtests.telemetry_cost --student .local/students/interests-small/9/student.yaml
    python -m loadtests.telemetry_cost --student … --plain OTHER/bin/python --against ../before

The scrape asks as Prometheus does (OpenMetrics, gzip) a gateway whose metrics have every label that
they can have, with eight engines and three students. Requests are answered over one Redis and the
embedded index, with no engine: by one process that has traces off and on in turns of a few
requests, so that a busy machine is busy for both. It counts its own CPU, which is what bounds the
requests/s of a process. Spans go to a collector that takes everything, a process of its own; they
are sent at the end of each turn, so more often than in service.

`--plain` (a Python without the extra `tracing`) and `--against` (another checkout) are compared
with this one, traces off: gateways of their own, which run at once and are asked in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import orjson
import uvicorn
import uvloop
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from starlette.types import ASGIApp, Message

from deploy.local.processes import Children, free_port
from deploy.local.stack import redis_server
from loadtests.crowd import load_demo, round_of
from loadtests.local_gateway import HOST, LocalGateway, local_gateway
from loadtests.rig.cores import cpu_s
from service.app import create_app
from service.records import CandidateSource, Degraded, QuerySource
from service.settings import Settings, load_settings
from service.settings_groups import TracingSettings
from service.stages import STAGE_REASONS
from service.telemetry import Metrics
from service.tracing import UNTRACED, Tracing
from service.wiring import open_tracing

_ROOT = Path(__file__).parents[1]
_SCRAPE_EVERY_S = 5.0
_A_TURN = 100
"""Requests."""
_AS_PROMETHEUS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
    "Accept-Encoding": "gzip",
}
LABELS: dict[str, list[object]] = {
    "route": [
        *("/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "other"),
        *("/v1/interests", "/v1/interests:batch", "/v1/signals", "/v1/students"),
        "/v1/feedback",
        *("/v1/users/{user_id}", "/v1/users/{user_id}/signals"),
    ],
    "status": [200, 204, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 499, 500, 503],
    "stage": list(STAGE_REASONS),
    "reason": [*Degraded, "nothing_to_serve", "unexpected"],
    "student": [f"student@{number}" for number in range(3)],
    "source": list(dict.fromkeys([*map(str, QuerySource), *map(str, CandidateSource)])),
    "engine": [f"http://engine-{number}:8000" for number in range(3)],
    "part": ["redis", "index", "student", "encoder"],
    "node": [f"opensearch-{number}:9200" for number in range(3)],
    "generation": [0, 1, 2],
    "setting": ["secret", "keys.backend", "keys.operations"],
    "experiment": [f"experiment-{number}" for number in range(3)],
    "action": ["pause", "ramp", "stop"],
    "by": ["hand", "watcher"],
    "arm": ["control", "new", "holdout"],
    "served": ["control", "new", "queries:heuristic"],
}
_STORED = ["stored", "repeated"]
OF_METRIC: dict[str, dict[str, list[object]]] = {
    "interests_engine_calls": {
        "outcome": [
            *("done", "late", "cut", "busy", "shared", "aborted", "shed", "timeout", "failed"),
            "spare",
        ]
    },
    "interests_encoder_cache": {"outcome": ["hit", "miss"]},
    "interests_events_dropped": {"kind": ["exposure", "shadow", "end"]},
    "interests_events_written": {"kind": ["exposure", "shadow", "end"]},
    "interests_feedback": {
        "kind": ["impression", "click", "dwell", "unknown"],
        "outcome": [*_STORED, "refused"],
    },
    "interests_query_cache": {"outcome": ["hit", "miss", "shared"]},
    "interests_runs": {"outcome": ["answered", "failed"]},
    "interests_shadow": {"outcome": ["done", "skipped", "failed"]},
    "interests_shards": {"outcome": ["answered", "missing"]},
    "interests_signals_written": {"outcome": [*_STORED, "dropped"]},
    "interests_tokens": {"kind": ["prompt", "cached", "output"]},
}
"""Labels whose values are each metric's own."""


@dataclass(slots=True)
class Turns:
    """What the turns of one way to serve have shown."""

    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    """Of the gateway's process, for each request."""


def fill(metrics: Metrics) -> None:
    """Give every metric every series, in histograms with an observation."""
    for metric in vars(metrics).values():
        names = getattr(metric, "_labelnames", ())
        own = LABELS | OF_METRIC.get(getattr(metric, "_name", ""), {})
        for values in itertools.product(*(own[name] for name in names)) if names else ():
            child = metric.labels(*values)
            if hasattr(child, "observe"):
                child.observe(0.0123, {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"})


async def answer_in_turns(settings: Settings, url: str, users: list[str], rounds: int) -> Table:
    """CPU of requests in this process, with traces off, sampled at 1 %, and all traced."""
    ways = {
        "off": UNTRACED,
        **{
            name: open_tracing(
                settings.model_copy(
                    update={"tracing": TracingSettings(endpoint=url, sample_ratio=ratio)}
                )
            )
            for name, ratio in {"1 %": 0.01, "all": 1.0}.items()
        },
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    async with AsyncExitStack() as stack:
        apps = {}
        for name, tracing in ways.items():
            # Redis' instrumentation is the process's, so it is on in each one's own turns alone.
            apps[name] = create_app(settings, tracing=_Begun(tracing))
            await stack.enter_async_context(apps[name].router.lifespan_context(apps[name]))
        for turn in range(-2, rounds):  # caches fill in the first two
            for name in list(ways) if turn % 2 else reversed(ways):
                async with _instrumented(ways[name]):
                    began = time.process_time()
                    for number in range(_A_TURN):
                        user = users[(turn * _A_TURN + number) % len(users)]
                        await _ask(apps[name], user)
                    # What a turn has made it also sends, or the next one would pay for it.
                    await asyncio.to_thread(_flush, ways[name])
                    if turn >= 0:
                        found[name].append(1000 * (time.process_time() - began) / _A_TURN)
    table = Table("traces", "CPU ms a request", "to off", box=SIMPLE_HEAD)
    table.title = f"one process, {rounds} turns of {_A_TURN} requests each"
    for name, values in found.items():
        table.add_row(name, f"{statistics.median(values):.2f}", _ratio(values, found["off"]))
    return table


def _flush(tracing: Tracing) -> None:
    if tracing is not UNTRACED:
        tracing.provider.force_flush()  # type: ignore[attr-defined]


class _Begun:
    """Tracing whose instrumentation is put on and taken off from outside."""

    def __init__(self, tracing: Tracing) -> None:
        self.request, self.span = tracing.request, tracing.span
        self.call, self.headers = tracing.call, tracing.headers
        self.note, self.trace_id = tracing.note, tracing.trace_id

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield


@asynccontextmanager
async def _instrumented(tracing: Tracing) -> AsyncIterator[None]:
    if tracing is UNTRACED:
        yield
        return
    from opentelemetry.instrumentation.redis import RedisInstrumentor

    RedisInstrumentor().instrument(tracer_provider=tracing.provider)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        RedisInstrumentor().uninstrument()


async def _ask(app: ASGIApp, user: str) -> None:
    """One request straight to the application, without a client's work."""
    body = orjson.dumps({"user_id": user, "timeout_ms": 20_000})
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        assert message.get("status", 200) == 200

    headers = [(b"content-type", b"application/json"), (b"host", b"gateway")]
    path = "/v1/interests"
    scope: dict[str, object] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
    }
    scope |= {"query_string": b"", "headers": headers, "server": (HOST, 80), "state": {}}
    await app(scope | {"scheme": "http", "http_version": "1.1", "client": None}, receive, send)


async def serve_full(port: int) -> None:
    """A gateway by the environment's settings, with every series."""
    app = create_app(load_settings())
    config = uvicorn.Config(
        app, HOST, port, http="httptools", log_config=None, access_log=False, lifespan="off"
    )
    async with app.router.lifespan_context(app):
        fill(app.state.context.metrics)
        await uvicorn.Server(config).serve()


@contextmanager
def collector() -> Iterator[str]:
    """The URL of an OTLP collector that takes everything, a process of its own."""
    command = [sys.executable, "-m", "loadtests.telemetry_cost", "--collector"]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def collect() -> None:
    """Be that collector."""

    class Takes(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # http.server's name
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name, too
            pass

    server = ThreadingHTTPServer((HOST, 0), Takes)
    sys.stdout.write(f"http://{HOST}:{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


def scrapes(gateway: LocalGateway, count: int) -> Table:
    """Scrape so often, one after the other; a table of what it took."""
    took_ms: list[float] = []
    with httpx.Client(base_url=gateway.url, headers=_AS_PROMETHEUS) as client:
        text = client.get("/metrics").text
        began = cpu_s(gateway.process.pid)
        for _ in range(count):
            started = time.perf_counter()
            client.get("/metrics").raise_for_status()
            took_ms.append(1000 * (time.perf_counter() - started))
        each_s = (cpu_s(gateway.process.pid) - began) / count
    series = sum(not line.startswith("#") for line in text.splitlines())
    title = f"/metrics with {series:,} series ({len(text) / 1e6:.2f} MB), {count} scrapes"
    heads = ("fastest ms", "p50 ms", "p95 ms", "CPU ms", "of a core, every 5 s")
    table = Table(*heads, box=SIMPLE_HEAD, title=title)
    table.add_row(
        f"{min(took_ms):.1f}",
        f"{statistics.median(took_ms):.1f}",
        f"{statistics.quantiles(took_ms, n=20)[18]:.1f}",
        f"{1000 * each_s:.1f}",
        f"{each_s / _SCRAPE_EVERY_S:.2%}",
    )
    return table


def ask_in_turns(
    gateways: dict[str, LocalGateway], users: list[str], rounds: int, callers: int, seconds: float
) -> dict[str, Turns]:
    """Requests to each gateway in turn, the order turned round each time."""
    found = {name: Turns() for name in gateways}
    for name in gateways:  # caches fill
        uvloop.run(round_of(gateways[name].port, users, callers, 10_000, seconds))
    for turn in range(rounds):
        for name in list(gateways) if turn % 2 else reversed(gateways):
            gateway = gateways[name]
            began = cpu_s(gateway.process.pid)
            seen = uvloop.run(round_of(gateway.port, users, callers, 10_000, seconds))
            used_s = cpu_s(gateway.process.pid) - began
            found[name].per_s.append(seen.answered / seen.seconds)
            found[name].cpu_ms.append(1000 * used_s / max(1, seen.answered))
    return found


def report(found: dict[str, Turns]) -> Table:
    """Each way over all its turns, and beside "off"."""
    title = f"gateways, traces off, {len(found['off'].per_s)} turns each"
    heads = ("requests/s", "to off", "CPU ms a request", "to off")
    table = Table("which", *heads, box=SIMPLE_HEAD, title=title)
    for name, turns in found.items():
        table.add_row(
            name,
            f"{statistics.mean(turns.per_s):.1f}",
            _ratio(turns.per_s, found["off"].per_s),
            f"{statistics.mean(turns.cpu_ms):.2f}",
            _ratio(turns.cpu_ms, found["off"].cpu_ms),
        )
    return table


def _ratio(values: list[float], others: list[float]) -> str:
    """The median of the ratios turn by turn, and in which bounds it is with 95 %.

    The bounds are the ratios at these ranks (a sign test turned round), whatever they come from.
    """
    ratios = sorted(one / other for one, other in zip(values, others, strict=True))
    spread = math.ceil(0.98 * math.sqrt(len(ratios)))
    middle = len(ratios) // 2
    low, high = ratios[max(0, middle - spread)], ratios[min(len(ratios) - 1, middle + spread)]
    return f"{statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    """Read the arguments, measure, print the tables."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--student", type=Path, required=True, help="a built student's student.yaml")
    cli.add_argument("--scrapes", type=int, default=200)
    cli.add_argument("--turns", type=int, default=60, help="of the one process, each way")
    cli.add_argument("--rounds", type=int, default=60)
    cli.add_argument("--seconds", type=float, default=1.0, help="of each turn")
    cli.add_argument("--callers", type=int, default=4)
    cli.add_argument("--plain", type=Path, help="a Python without the extra `tracing`")
    cli.add_argument("--against", type=Path, help="another checkout, measured in turns with this")
    chosen = cli.parse_args()
    if (
        chosen.scrapes < 20
        or min(chosen.rounds, chosen.turns) < 2
        or chosen.callers < 1
        or chosen.seconds <= 0
    ):
        cli.error(
            "--scrapes takes 20 or more, --turns and --rounds 2, --callers 1, --seconds more than 0"
        )
    with (
        tempfile.TemporaryDirectory() as scratch,
        collector() as url,
        ExitStack() as stack,
    ):
        folder, redis_port = Path(scratch), free_port()
        children = Children(folder / "log")
        stack.callback(children.stop)
        children.start("redis", [redis_server(), "--port", str(redis_port), "--save", ""])
        users = load_demo(folder, redis_port)
        settings = {
            "REDIS_URL": f"redis://{HOST}:{redis_port}/0",
            "STUDENTS__MAIN__MANIFEST": str(chosen.student.resolve()),
        }
        full = ["-m", "loadtests.telemetry_cost", "--serve-full"]
        with local_gateway(_ROOT, folder, settings, command=full) as gateway:
            tables = [scrapes(gateway, chosen.scrapes)]
        given = load_settings(
            redis_url=settings["REDIS_URL"],
            data_dir=folder,
            students={"main": {"manifest": chosen.student.resolve()}},
        )
        tables.append(uvloop.run(answer_in_turns(given, url, users, chosen.turns)))
        gateways = {"off": stack.enter_context(local_gateway(_ROOT, folder, settings))}
        if chosen.plain is not None:
            gateways["off, without the extra"] = stack.enter_context(
                local_gateway(_ROOT, folder, settings, python=chosen.plain.absolute())
            )
        if chosen.against is not None:
            gateways["the other checkout"] = stack.enter_context(
                local_gateway(chosen.against.resolve(), folder, settings)
            )
        if len(gateways) > 1:
            found = ask_in_turns(gateways, users, chosen.rounds, chosen.callers, chosen.seconds)
            tables.append(report(found))
    console = Console(width=120)
    for table in tables:
        console.print(table)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve-full"]:
        uvloop.run(serve_full(int(os.environ["INTERESTS_PORT"])))
    elif sys.argv[1:] == ["--collector"]:
        collect()
    else:
        main()
