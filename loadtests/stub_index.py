"""An OpenSearch that knows its answers: as much of it as the gateway asks for, and no searching.

    python -m loadtests.stub_index --port 9201

Each search of an `_msearch` is answered with one of 64 ready lists of `--hits` articles, with ids,
titles, dates and scores as OpenSearch sends them. So a gateway in front of it is measured alone:
the stub spends some microseconds on a query. It also answers the looks at mapping and statistics,
the search for popular articles, and single searches by words, as the peers send them. `--delay-ms`
holds every answer back, for an index that is slow.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import zlib
from typing import Any, cast

import orjson
import uvloop

from loadtests.local_gateway import HOST
from loadtests.rig.articles import article_rows
from service.dates import parse_time
from service.retrieval.indexes.analysis import definition

_INDEX = "news-000001"
_READY = 64
"""Lists of hits that are dealt out to searches."""
_ARTICLES = 1_881
_BEST_SCORE = 14.0
"""About what BM25 gives the first hit of a query over the demo's articles."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SIZE = re.compile(rb'"size":(\d+)')


class Answers:
    """All that it can answer, made once."""

    def __init__(self, hits: int) -> None:
        rows = list(article_rows(_ARTICLES))
        self._ready = [
            _found([_hit(rows[(start * 29 + at * 37) % len(rows)], at) for at in range(hits)])
            for start in range(_READY)
        ]
        by_clicks = sorted(rows, key=lambda row: -row["popularity"])
        self._popular = [_hit(row, at, first=row["popularity"]) for at, row in enumerate(by_clicks)]
        self._mapping = orjson.dumps({_INDEX: {"mappings": definition()["mappings"]}})
        shard = {"seq_no": {"max_seq_no": _ARTICLES - 1}, "refresh": {"external_total": 2}}
        stats = {_INDEX: {"uuid": "stub", "shards": {"0": [shard]}}}
        self._stats = orjson.dumps({"indices": stats})

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body."""
        if path.endswith("/_msearch"):
            searches = body.split(b"\n")[1::2]
            found = [self._ready[zlib.crc32(search) % _READY] for search in searches]
            return 200, b'{"took":1,"responses":[' + b",".join(found) + b"]}"
        if path.endswith("/_search"):
            if b'"match"' in body:
                return 200, self._ready[zlib.crc32(body) % _READY]
            size = _SIZE.search(body)
            return 200, _found(self._popular[: int(size[1]) if size else 10])
        if "/_mapping" in path:
            return 200, self._mapping
        if "/_stats" in path:
            return 200, self._stats
        if path == "/health":
            return 200, b"{}"
        said = {"type": "illegal_argument_exception", "reason": f"the stub knows no {path}"}
        return 404, orjson.dumps({"error": said, "status": 404})


class Connection(asyncio.Protocol):
    """One caller's connection: HTTP/1.1 with `Content-Length`, kept open."""

    def __init__(self, answers: Answers, delay_s: float) -> None:
        self._answers = answers
        self._delay_s = delay_s
        self._came = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's call: it is there."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's call: it has gone."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """asyncio's call: a piece of a request."""
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._came, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._came) < whole:
                return
            method, target, _ = self._came[: self._came.index(b"\r\n")].decode().split(" ")
            body = bytes(self._came[end + 4 : whole])
            del self._came[:whole]
            if method == "HEAD":  # whether an index is there: it is
                status, content = 200, b""
            else:
                status, content = self._answers.answer(target.partition("?")[0], body)
            head = (
                f"HTTP/1.1 {status} X\r\ncontent-type: application/json; charset=UTF-8\r\n"
                f"content-length: {len(content)}\r\n\r\n"
            )
            self._write(head.encode() + content)

    def _write(self, answer: bytes) -> None:
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._write_now, answer)
        else:
            self._write_now(answer)

    def _write_now(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


def _hit(row: dict[str, Any], at: int, first: float | None = None) -> dict[str, Any]:
    """A hit as OpenSearch sends it; `first` is what it is sorted by, a score unless given."""
    score = _BEST_SCORE / (1 + 0.1 * at) if first is None else first
    published = parse_time(row["published"], "published")
    source = {key: row[key] for key in ("id", "title", "category", "popularity")}
    return {
        "_index": _INDEX,
        "_id": row["id"],
        "_score": score if first is None else None,
        "_source": source,
        "sort": [score, published, row["id"]],
    }


def _found(hits: list[dict[str, Any]]) -> bytes:
    shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    hit_list = {"max_score": None, "hits": hits}
    return orjson.dumps(
        {"took": 1, "timed_out": False, "_shards": shards, "hits": hit_list, "status": 200}
    )


async def serve(port: int, hits: int, delay_s: float) -> None:
    """Answer until killed."""
    answers = Answers(hits)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(answers, delay_s), HOST, port, backlog=2048
    )
    sys.stdout.write(f"http://{HOST}:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Read the flags and serve."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--port", type=int, default=0, help="0: a free one, printed")
    cli.add_argument("--hits", type=int, default=50, help="of each search")
    cli.add_argument("--delay-ms", type=float, default=0.0, help="before each answer")
    chosen = cli.parse_args()
    uvloop.run(serve(chosen.port, chosen.hits, chosen.delay_ms / 1000))


if __name__ == "__main__":
    main()
