"""What the systems are measured over: index, engine, requests, and how each system is started."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson

from deploy.local.processes import free_port
from loadtests.peers.processes import process
from loadtests.rig.machine import ROOT
from loadtests.rig.parts import Parts
from loadtests.rig.users import dealt, inline
from service.defaults import HITS_PER_QUERY
from service.manifest import load_manifest
from service.retrieval.indexes.analysis import FIELDS
from tests.parts.opensearch import OpenSearchNode, own_index

_USERS, _SIGNALS = 1_886, 25
"""As many users as the demo has signals: dealt 25 at a time, no two users get the same ones."""
_DEADLINE_MS = 30_000
_LONG_WORD = re.compile(r"[a-z]{5,}")
_AS_IT_IS = "{% for message in messages %}{{ message.content }}{% endfor %}"
"""A chat template that adds nothing, so that a chat's prompt is what a completion's would be."""
_ENGINE_S = 600.0
_MODEL_LENGTH = "1536"
"""The student's own length has no room for a peer's prompt and as many signals."""
_COMPACT = '{"backend": "xgrammar", "disable_any_whitespace": true}'
"""Else a list as JSON is mostly line breaks, and does not fit in the tokens that it may have."""


@contextmanager
def index_of(chosen: argparse.Namespace, here: Parts) -> Iterator[tuple[str, str]]:
    """URL and name: the stub, or an index of ours on the node given or on one of ours.

    All of them run beside the load generator.
    """
    if chosen.index == "stub":
        yield here.serve("stub_index").url, "news"
        return
    if chosen.opensearch:
        with own_index(chosen.opensearch) as name:
            yield chosen.opensearch, name
        return
    node = OpenSearchNode(knn=False)
    try:
        node.start()
        with own_index(node.url) as name:
            yield node.url, name
    finally:
        node.close()


def bodies_of(limit: int, queries: int, users: int = _USERS) -> list[bytes]:
    """Requests of users, the demo's signals dealt to them. Every side is asked for all in turn."""
    return [
        orjson.dumps(
            {
                "user_id": user,
                "signals": inline(signals),
                "limit": limit,
                "max_queries": queries,
                "timeout_ms": _DEADLINE_MS,
            }
        )
        for user, signals in dealt(range(users), _SIGNALS).items()
    ]


def words_of(articles: Path) -> list[str]:
    """The longer words of the articles' titles, each once: what a simulated engine writes."""
    titles = [orjson.loads(line)["title"].lower() for line in articles.open("rb")]
    return list(dict.fromkeys(word for title in titles for word in _LONG_WORD.findall(title)))


@contextmanager
def engine_of(chosen: argparse.Namespace, here: Parts, articles: Path) -> Iterator[str]:
    """Its URL. It runs where the load generator does."""
    if chosen.engine == "simulator":
        words = here.folder / "words.txt"
        words.write_text("\n".join(words_of(articles)))
        model = load_manifest(chosen.student).key
        lists = ("--words", str(words), "--lines", str(chosen.queries))
        speed = ("--step-ms", f"{chosen.step_ms:g}")
        yield here.serve("engine_simulator", "--model", model, *lists, *speed).url
        return
    port, template = free_port(), here.folder / "as-it-is.jinja"
    template.write_text(_AS_IT_IS)
    more: tuple[str, ...] = ("--max-model-len", _MODEL_LENGTH, "--chat-template", str(template))
    more += ("--structured-outputs-config", _COMPACT)
    student = ("--student", str(chosen.student.parent), "--port", str(port))
    command = [sys.executable, "-m", "service", "engine", *student, "--", *more]
    # Threads of more than its cores would wait for each other.
    threads = {"OMP_NUM_THREADS": str(len(here.cores.others))}
    threads |= {"INTERESTS_ENGINE_PYTHON": str(_engine_python())}
    with process(
        here,
        "vllm",
        command,
        port,
        health="/health",
        measured=False,
        environment=threads,
        limit_s=_ENGINE_S,
    ) as vllm:
        yield vllm.url


def _engine_python() -> Path:
    return Path(os.environ.get("INTERESTS_ENGINE_PYTHON", ROOT / ".venv-engine/bin/python"))


def settings_of(
    chosen: argparse.Namespace, parts_of: Mapping[str, str], engine: str
) -> dict[str, str]:
    """The gateway's settings: nothing reused, and nothing searched but the student's queries."""
    return {
        **parts_of,
        "STUDENTS__MAIN__MANIFEST": str(chosen.student),
        "STUDENTS__MAIN__ENGINES": engine,
        "REUSE_MAX_AGE_S": "0",
        "CACHE_ENTRIES": "0",
        "OWN_SIGNALS": "0",
    }


def command_of(
    chosen: argparse.Namespace, peer: str, port: int, engine: str, url: str, index: str
) -> list[str]:
    """What starts a peer, with everything that the gateway is told, too."""
    manifest = load_manifest(chosen.student)
    max_tokens = chosen.max_tokens or manifest.decoding.max_tokens
    fields = ",".join(f"{name}^{boost:g}" for name, boost in FIELDS)
    return [
        *(str(chosen.python), "-m", "loadtests.peers.apps", peer, "--port", str(port)),
        *("--engine", f"{engine}/v1", "--model", manifest.key),
        *("--opensearch", url, "--index", index, "--fields", fields),
        *("--queries", str(chosen.queries), "--hits", str(HITS_PER_QUERY)),
        *("--limit", str(chosen.limit), "--max-tokens", str(max_tokens)),
        *(["--shaped"] if chosen.engine == "vllm" else []),
    ]
