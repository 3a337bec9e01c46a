"""This gateway from inline signals to candidates, beside LiteLLM's proxy passing completions.

    python -m loadtests.peers.litellm

LiteLLM does a part of the work: it takes a completion, checks a key, sends it on to the engine, and
hands back what the engine writes, streamed or whole. The gateway does that within each request,
and reads signals, renders a prompt, searches and merges as well. So the ratio says how much of a
plain proxy's speed is left when all of the work is done.

Both are one process on the same core, in turns; both check a key; both ask the same simulated
engine for lists of as many tokens. The gateway is asked as in `loadtests.inline`: users of their
own, nothing reused, a stub for an index. LiteLLM is asked with the same signals as a text.

First `--callers` ask each as fast as it answers. Then requests come by chance (Poisson) at half of
what each has just answered, and wait for no answer.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from deploy.local.processes import free_port
from loadtests.local_gateway import HOST
from loadtests.peers.processes import add_python, process, versions
from loadtests.raw_client import Reply
from loadtests.rig import scene
from loadtests.rig.arrivals import poisson
from loadtests.rig.figures import ratio, spread
from loadtests.rig.gateways import checkouts
from loadtests.rig.loops import OK, Judge, Request, answered
from loadtests.rig.machine import describe
from loadtests.rig.parts import Parts, Process, parts
from loadtests.rig.plots import of_rounds
from loadtests.rig.results import Result, finish
from loadtests.rig.rounds import Measured, Side, in_turns
from loadtests.rig.scene import FRESH, Scene, in_turn
from loadtests.rig.script import flags, read, run
from loadtests.rig.sides import CORE, CPU_MS, GENERATOR, NOT_OK, PER_S, closed_side, open_side
from service.manifest import load_manifest

OURS = "this gateway"
WHOLE = "LiteLLM, whole"
STREAMED = "LiteLLM, streamed"
CHAT = "LiteLLM, streamed chat"
"""Which costs it less than a streamed completion does."""
_KEY = "sk-loadtests"
_HEADERS = f"authorization: Bearer {_KEY}\r\n"
_PRODUCTION = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
"""What its guide to production says of the environment."""


@dataclass(frozen=True, slots=True)
class Server:
    """What is asked, where, and what is right."""

    name: str
    port: int
    pid: int
    requests: list[Request]
    judge: Judge


def main() -> None:
    """Read the flags, measure in turns, write what was found."""
    cli = flags(__doc__)
    scene.add_flags(cli)
    add_python(cli)
    chosen = read(cli)
    found_versions = versions(chosen.python, ["litellm", "uvicorn", "uvloop", "httptools"])
    machine = describe()
    with parts() as here, ExitStack() as stack:
        keys = {"KEYS__LOADTESTS__SECRET": _KEY}
        there = scene.build(chosen, here, more=keys)
        servers = [_gateway(there), *_proxies(chosen, here, there, stack)]
        peak = in_turns([_peak_side(chosen, server) for server in servers], chosen.rounds)
        rates = {name: peak.spread(name, PER_S).median / 2 for name in peak.sides}
        sides = [_waiting_side(chosen, server, rates[server.name]) for server in servers]
        waited = in_turns(sides, chosen.rounds, warm=False)
        cores = here.cores.said
    finish(_result(chosen, peak, waited, found_versions, cores), machine, chosen.results)


def config(engine: str, model: str) -> dict[str, object]:
    """LiteLLM's configuration: what its guides to production and to benchmarks say, no more.

    One worker of uvicorn; no callbacks, retries or detailed logs. There is no database, so that it
    writes no spend logs, and no cache.
    """
    deployment = {"model": f"openai/{model}", "api_base": f"{engine}/v1", "api_key": "none"}
    return {
        "model_list": [{"model_name": model, "litellm_params": deployment}],
        "litellm_settings": {
            "set_verbose": False,
            "request_timeout": 600,
            "callbacks": [],
            "num_retries": 0,
        },
        "general_settings": {"master_key": _KEY},
    }


def completion(
    model: str, text: str, max_tokens: int, *, stream: bool, chat: bool = False
) -> Request:
    """A call of LiteLLM's proxy; a stream ends with the usage, as the gateway asks for it."""
    body: dict[str, object] = {"model": model, "max_tokens": max_tokens, "temperature": 0}
    body |= {"messages": [{"role": "user", "content": text}]} if chat else {"prompt": text}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    path = "/v1/chat/completions" if chat else "/v1/completions"
    return Request(orjson.dumps(body), path, _HEADERS)


def whole(reply: Reply) -> str:
    """`OK` for a list that the engine has ended."""
    if reply.status != 200:
        return answered(reply)
    return OK if b'"finish_reason":"stop"' in reply.body else "a list without its end"


def streamed(tokens: int) -> Judge:
    """A judge: `OK` for a stream of so many pieces of text that has come to its end."""

    def judge(reply: Reply) -> str:
        if (said := whole(reply)) != OK:
            return said
        if not reply.body.endswith(b"data: [DONE]\n\n"):
            return "a stream without its end"
        pieces = reply.body.count(b'"text":"') + reply.body.count(b'"content":"')
        return OK if pieces >= tokens else "a list with gaps"

    return judge


def _gateway(there: Scene) -> Server:
    ((_, gateway),) = there.gateways(checkouts(None))
    requests = [replace(request, headers=_HEADERS) for request in there.requests]
    return Server(OURS, gateway.port, gateway.process.pid, requests, FRESH)


def _proxies(
    chosen: argparse.Namespace, here: Parts, there: Scene, stack: ExitStack
) -> list[Server]:
    """One proxy, asked in three ways."""
    manifest = load_manifest(chosen.student)
    proxy = stack.enter_context(_process(here, chosen.python, there.engine, manifest.key))
    texts = ["\n".join(signal.text for signal in signals) for _, signals in there.users]
    limit, in_pieces = manifest.decoding.max_tokens, streamed(chosen.tokens)

    def server(name: str, judge: Judge, *, stream: bool, chat: bool) -> Server:
        requests = [
            completion(manifest.key, text, limit, stream=stream, chat=chat) for text in texts
        ]
        return Server(name, proxy.port, proxy.pid, requests, judge)

    return [
        server(WHOLE, whole, stream=False, chat=False),
        server(STREAMED, in_pieces, stream=True, chat=False),
        server(CHAT, in_pieces, stream=True, chat=True),
    ]


def _process(
    here: Parts, python: Path, engine: Process, model: str
) -> AbstractContextManager[Process]:
    """LiteLLM's proxy in front of the engine, for the block."""
    file, port = here.folder / "litellm.yaml", free_port()
    file.write_bytes(orjson.dumps(config(engine.url, model)))  # JSON is YAML
    command = [str(python.parent / "litellm"), "--config", str(file), "--num_workers", "1"]
    command += ["--host", HOST, "--port", str(port), "--telemetry", "False"]
    return process(
        here, "litellm", command, port, health="/health/readiness", environment=_PRODUCTION
    )


def _peak_side(chosen: argparse.Namespace, server: Server) -> Side:
    return closed_side(
        server.name,
        server.port,
        in_turn(server.requests),
        callers=chosen.callers,
        seconds=chosen.seconds,
        judge=server.judge,
        pid=server.pid,
    )


def _waiting_side(chosen: argparse.Namespace, server: Server, rate: float) -> Side:
    seeds = itertools.count(1)
    return open_side(
        server.name,
        server.port,
        in_turn(server.requests),
        lambda: poisson(rate, chosen.seconds, next(seeds)),
        judge=server.judge,
        pid=server.pid,
    )


def _result(
    chosen: argparse.Namespace,
    peak: Measured,
    waited: Measured,
    found_versions: Mapping[str, str],
    cores: str,
) -> Result:
    rows = []
    for name in peak.sides:
        ours = ratio(peak.values(OURS, PER_S), peak.values(name, PER_S))
        cells = [name, peak.spread(name, PER_S).said(1), ours.said()]
        cells += [f"{peak.spread(name, shown).median:.2f}" for shown in (CPU_MS, CORE, GENERATOR)]
        cells += [waited.spread(name, f"p{share} ms").said(1) for share in (50, 95, 99)]
        failed = sum(peak.values(name, NOT_OK)) + sum(waited.values(name, NOT_OK))
        rows.append([*cells, f"{failed:.0f}"])
    told = ", ".join(f"{name} {version}" for name, version in found_versions.items())
    spreads = [f"{name} {spread(waited.values(name, PER_S)).median:.0f}" for name in waited.sides]
    return Result(
        name="peers-litellm",
        title="Inline signals to candidates, beside LiteLLM passing completions",
        heads=[
            *("", PER_S, f"{OURS} to it", CPU_MS, CORE, GENERATOR),
            *(f"p{share} ms at half of it" for share in (50, 95, 99)),
            NOT_OK,
        ],
        rows=rows,
        data={"peak": peak.turns, "at half": waited.turns, "versions": found_versions},
        said=[
            f"{chosen.rounds} rounds of {chosen.seconds:g} s a side, {chosen.callers} callers; "
            f"{chosen.signals} signals, lists of {chosen.tokens} tokens at {chosen.step_ms:g} ms "
            f"each; {cores}.",
            f"At half, answers a second: {', '.join(spreads)}.",
            f"In LiteLLM's environment: {told}.",
        ],
        draw=of_rounds(peak, PER_S),
    )


if __name__ == "__main__":
    run(main)
