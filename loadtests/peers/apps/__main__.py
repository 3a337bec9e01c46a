"""One peer behind HTTP, in one process: `python -m loadtests.peers.apps langchain --port …`.

It answers `POST /v1/interests` with the gateway's body, `user_id` and inline `signals`, as the
gateway does: candidates as JSON. Server and loop are the gateway's, uvicorn with httptools on
uvloop, and nothing is done for a request but its question and its answer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

from loadtests.peers.apps.asked import Options, Peer, fields_of, question_of


def _langchain(options: Options) -> Peer:
    from loadtests.peers.apps.with_langchain import LangChain

    return LangChain(options)


def _haystack(options: Options) -> Peer:
    from loadtests.peers.apps.with_haystack import Haystack

    return Haystack(options)


def _llama_index(options: Options) -> Peer:
    from loadtests.peers.apps.with_llama_index import LlamaIndex

    return LlamaIndex(options)


_MAKE: dict[str, Callable[[Options], Peer]] = {
    "langchain": _langchain,
    "haystack": _haystack,
    "llama-index": _llama_index,
}


def app_of(peer: Peer) -> FastAPI:
    """The peer as an application."""
    app = FastAPI()

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response()

    @app.post("/v1/interests")
    async def interests(request: Request) -> Response:
        body = orjson.loads(await request.body())
        found = await peer.candidates(question_of(body["signals"]))
        answer = {"user_id": body["user_id"], "candidates": [asdict(one) for one in found]}
        return Response(orjson.dumps(answer), media_type="application/json")

    return app


def main() -> None:
    """Read the arguments, serve until killed."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("peer", choices=list(_MAKE))
    cli.add_argument("--port", type=int, required=True)
    cli.add_argument("--engine", required=True, help="base URL, with /v1")
    cli.add_argument("--model", required=True)
    cli.add_argument("--opensearch", required=True)
    cli.add_argument("--index", default="news")
    cli.add_argument("--fields", type=fields_of, required=True, help="title^2,abstract^1")
    cli.add_argument("--queries", type=int, default=8)
    cli.add_argument("--hits", type=int, default=50)
    cli.add_argument("--limit", type=int, default=100)
    cli.add_argument("--max-tokens", type=int, required=True)
    cli.add_argument("--shaped", action="store_true", help="tell vLLM how many queries to write")
    chosen = vars(cli.parse_args())
    name, port = chosen.pop("peer"), chosen.pop("port")
    uvicorn.run(
        app_of(_MAKE[name](Options(**chosen))),
        host="127.0.0.1",
        port=port,
        http="httptools",
        loop="uvloop",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
