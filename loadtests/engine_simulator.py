"""A server that speaks vLLM's protocols and has a speed and faults instead of a model.

It batches continuously as vLLM does: at most `max_seqs` samples decode at once, the rest wait; one
step of `step_ms` gives each of them a token. So it costs what the protocol costs, and no more.
Completions and chats, streamed or whole, from texts or token ids.

    python -m loadtests.engine_simulator --port 8901 --step-ms 5
    python -m loadtests.engine_simulator --words words.txt --lines 8   # eight lines of these words

`GET /simulator` shows what has been asked of it; `POST /simulator` sets a fault or a speed while it
runs, by the names of `Behaviour`'s fields.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field, fields, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, get_args

import orjson
import uvicorn

from loadtests.engine_protocol import BadCall, Call, Events, read_call, whole_answer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_WORDS = ("storm", "market", "league", "harbour", "vaccine", "election", "satellite", "orchard")
_LINE_WORDS = 4
_FLOOD_PARTS = 4_096
_NO_CHUNK = '{"choices":[{"index":0,"text":5,"finish_reason":null}]}'

Fault = Literal["", "hang", "error", "drop", "stall", "nonsense", "flood", "done", "cut"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Speed and faults."""

    model: str = "sim"
    step_ms: float = 5.0
    prefill_ms: float = 0.0
    """Added to the step in which a prompt is admitted, for each prompt."""
    max_seqs: int = 256
    fault: Fault = ""
    """`hang`: no chunk ever, `/health` stays 200. `error`: 500. `drop`: close the connection after
    `fault_after` tokens. `stall`: send nothing more after them. Of calls that are no probes:
    `nonsense` streams a chunk that is `event`, `flood` a line without an end, `done` the end at
    once, `cut` ends after `fault_after` tokens with the `finish_reason` that is `finish`.
    """
    event: str = _NO_CHUNK
    fault_after: int = 3
    finish: str = "abort"
    """Of the fault `cut`; empty for a null."""
    fault_share: float = 1.0
    """Share of the calls that the fault strikes, evenly: with 0.5 every second one. Below 1 none
    of the probes is struck. `hang` and `stall` strike all."""
    api_key: str = ""
    refuse: int = 0
    """Status of the answer to every call that is no probe; 0: they are served."""
    capacity: int = 1_000_000
    """Calls in flight beyond which one is turned away with `busy_status`."""
    busy_status: int = 429
    retry_after: str = ""
    """The Retry-After of those that are turned away; empty for none."""
    words: tuple[str, ...] = _WORDS
    """What samples are made of, four a line."""
    lines: int = 0
    """After so many a sample ends by itself; 0: at its `max_tokens`."""
    lists: int = 1
    """Into how many kinds prompts fall, each with words of its own; 1: all are written alike."""
    line_words: int = _LINE_WORDS
    """Words, which are tokens, of a line."""
    own_lines: bool = False
    """Each line has words that no other line of its list has, so that none repeats another."""


@dataclass(eq=False, slots=True)
class Sequence:
    """One sample being decoded."""

    index: int
    seed: int
    left: int
    words: tuple[str, ...] = _WORDS
    ends: Literal["length", "stop"] = "length"
    """Why it is over after the last of those that are left."""
    json_key: str = ""
    """Where it writes JSON: what its list of strings, a line each, stands under."""
    mark: str = ""
    """At the end of each word."""
    line_words: int = _LINE_WORDS
    own_lines: bool = False
    made: int = 0
    out: asyncio.Queue[tuple[str, bool]] = field(default_factory=asyncio.Queue)

    def next(self) -> tuple[str, bool]:
        """The next token's text, and whether it is the last."""
        self.made += 1
        self.left -= 1
        last = self.left <= 0
        word = self.words[(self.seed * 31 + self.made * 7 + self.index) % len(self.words)]
        word += self.mark + (f"l{(self.made - 1) // self.line_words}" if self.own_lines else "")
        line_ends = self.made % self.line_words == 0
        if not self.json_key:
            return word + ("\n" if line_ends else " "), last
        begin = f'{{"{self.json_key}": ["' if self.made == 1 else ""
        # A list that its `max_tokens` cuts short stays open, as a model's does.
        end = '"]}' if last and self.ends == "stop" else '", "' if line_ends else " "
        return begin + word + end, last


def sequences_of(call: Call, behaviour: Behaviour) -> list[Sequence]:
    """The samples that a call asks for, prompt by prompt."""
    left = call.max_tokens
    ends: Literal["length", "stop"] = "length"
    if behaviour.lines and behaviour.lines * behaviour.line_words <= left:
        left, ends = behaviour.lines * behaviour.line_words, "stop"
    seeds = [sum(prompt) for prompt in call.prompts for _ in range(call.n)]
    return [
        Sequence(
            index=index,
            seed=seed,
            left=left,
            words=tuple(behaviour.words),
            ends=ends,
            json_key=call.json_key,
            mark=str(seed % behaviour.lists) if behaviour.lists > 1 else "",
            line_words=behaviour.line_words,
            own_lines=behaviour.own_lines,
        )
        for index, seed in enumerate(seeds)
    ]


class Batch:
    """Continuous batching: samples decoding together, a token each a step."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.running: dict[Sequence, None] = {}
        self.waiting: deque[Sequence] = deque()
        self._wake = asyncio.Event()

    def add(self, sequence: Sequence) -> None:
        """Queue a sample."""
        self.waiting.append(sequence)
        self._wake.set()

    def drop(self, sequence: Sequence) -> None:
        """Its caller has gone, or it is done."""
        self.running.pop(sequence, None)
        if sequence in self.waiting:
            self.waiting.remove(sequence)

    async def run(self) -> None:
        """Step for ever."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if not self.running and not self.waiting:
                self._wake.clear()
                await self._wake.wait()
                due = loop.time()
            behaviour = self.behaviour
            admitted = 0
            while self.waiting and len(self.running) < behaviour.max_seqs:
                self.running[self.waiting.popleft()] = None
                admitted += 1
            due += (behaviour.step_ms + admitted * behaviour.prefill_ms) / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))
            due = max(due, loop.time() - behaviour.step_ms / 1000)
            for sequence in list(self.running):
                if behaviour.fault == "hang":
                    break
                if behaviour.fault == "stall" and sequence.made >= behaviour.fault_after:
                    continue
                text, last = sequence.next()
                sequence.out.put_nowait((text, last))
                if last:
                    del self.running[sequence]


class Simulator:
    """The ASGI application."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.batch = Batch(behaviour)
        self._stepper: asyncio.Task[None] | None = None
        self.calls: list[list[int]] = []
        """First ids of each prompt asked for, in order of arrival; probes (one id) left out."""
        self.in_flight: set[int] = set()
        """Calls whose sequences are not over. The last bytes of an answer may still be on their way
        when its caller sends the next call, so the end of the answer would count both."""
        self.most_in_flight = 0
        self.aborted = 0
        self.turned_away = 0
        self._due = 0.0
        """What has gathered of the next call that the fault strikes."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._stepper is None:
            self._stepper = asyncio.create_task(self.batch.run())
        path, behaviour = scope["path"], self.batch.behaviour
        if path == "/health":
            await _answer(send, 200, b"")
        elif path == "/metrics":
            await _answer(send, 200, self._metrics())
        elif path == "/simulator":
            await self._control(scope, receive, send)
        elif behaviour.api_key and _header(scope, b"authorization") != (
            f"Bearer {behaviour.api_key}"
        ):
            await _error(send, 401, "Unauthorized")
        elif path == "/v1/models":
            listed = {"object": "list", "data": [{"id": behaviour.model, "object": "model"}]}
            await _answer(send, 200, orjson.dumps(listed))
        elif path in ("/v1/completions", "/v1/chat/completions"):
            try:
                call = read_call(orjson.loads(await _body(receive)), chat="chat" in path)
            except BadCall as error:
                await _error(send, 400, str(error))
            else:
                await self._complete(call, receive, send)
        else:
            await _error(send, 404, "Not Found")

    def _metrics(self) -> bytes:
        name = f'{{model_name="{self.batch.behaviour.model}"}}'
        return (
            f"vllm:num_requests_running{name} {float(len(self.batch.running))}\n"
            f"vllm:num_requests_waiting{name} {float(len(self.batch.waiting))}\n"
        ).encode()

    async def _control(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            changes = orjson.loads(await _body(receive))
            unknown = set(changes) - {known.name for known in fields(Behaviour)}
            if unknown:
                await _error(send, 400, f"no such behaviour: {', '.join(sorted(unknown))}")
                return
            self.batch.behaviour = replace(self.batch.behaviour, **changes)
            self.calls.clear()
            self.aborted = self.most_in_flight = self.turned_away = 0
        state = {
            "calls": self.calls,
            "in_flight": len(self.in_flight),
            "most_in_flight": self.most_in_flight,
            "aborted": self.aborted,
            "turned_away": self.turned_away,
        }
        await _answer(send, 200, orjson.dumps(state))

    async def _complete(self, call: Call, receive: Receive, send: Send) -> None:
        behaviour = self.batch.behaviour
        if call.model != behaviour.model:
            await _error(send, 404, f"The model `{call.model}` does not exist.")
            return
        if not call.probe:
            self.calls.append(list(call.prompts[0][:4]))
        if not self._strikes(behaviour, call):
            behaviour = replace(behaviour, fault="")
        if behaviour.fault == "error":
            await _error(send, 500, "told to fail")
            return
        if behaviour.refuse and not call.probe:
            await _error(send, behaviour.refuse, "told to refuse")
            return
        if len(self.in_flight) >= behaviour.capacity and not call.probe:
            self.turned_away += 1
            await _error(send, behaviour.busy_status, "no room", behaviour.retry_after)
            return
        sequences = sequences_of(call, behaviour)
        self.in_flight.add(id(sequences))
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        for sequence in sequences:
            self.batch.add(sequence)
        answer = self._stream if call.stream else self._whole
        work = asyncio.create_task(answer(call, sequences, send, behaviour))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self.aborted += 1
            else:
                work.result()
        finally:
            work.cancel()
            gone.cancel()
            self.in_flight.discard(id(sequences))
            for sequence in sequences:
                self.batch.drop(sequence)

    def _strikes(self, behaviour: Behaviour, call: Call) -> bool:
        """Whether the fault is for this call."""
        if behaviour.fault_share >= 1:
            return True
        if call.probe:
            return False
        self._due += behaviour.fault_share
        strikes = self._due >= 1
        self._due -= strikes
        return strikes

    async def _stream(
        self, call: Call, sequences: list[Sequence], send: Send, behaviour: Behaviour
    ) -> None:
        event_of = Events(call)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
            }
        )
        if behaviour.fault in ("nonsense", "flood", "done") and not call.probe:
            await self._misbehave(behaviour, send)
            return
        if start := event_of.start(sequences):
            await _part(send, start, more=True)
        open_ones = list(sequences)
        while open_ones:
            lines = []
            for sequence in list(open_ones):
                text, reason, last = await self._token(call, sequence, behaviour)
                lines.append(event_of.chunk(sequence, text, reason))
                if last:
                    open_ones.remove(sequence)
            if not open_ones:
                self.in_flight.discard(id(sequences))
            _drop_if_told(sequences, behaviour)
            await _part(send, b"".join(lines), more=True)
        await _part(send, event_of.usage(sequences), more=True)
        await _part(send, b"data: [DONE]\n\n", more=True)
        await _part(send, b"", more=False)

    async def _whole(
        self, call: Call, sequences: list[Sequence], send: Send, behaviour: Behaviour
    ) -> None:
        texts, reasons = [], []
        for sequence in sequences:
            pieces, reason, last = [], None, False
            while not last:
                text, reason, last = await self._token(call, sequence, behaviour)
                pieces.append(text)
            texts.append("".join(pieces))
            reasons.append(reason)
        self.in_flight.discard(id(sequences))
        _drop_if_told(sequences, behaviour)
        await _answer(send, 200, whole_answer(call, sequences, texts, reasons))

    async def _token(
        self, call: Call, sequence: Sequence, behaviour: Behaviour
    ) -> tuple[str, str | None, bool]:
        """A sample's next token, its `finish_reason`, and whether it is the last."""
        text, last = await sequence.out.get()
        cut = behaviour.fault == "cut" and not call.probe
        if cut and sequence.made >= behaviour.fault_after:
            self.batch.drop(sequence)
            return text, behaviour.finish or None, True
        return text, sequence.ends if last else None, last

    async def _misbehave(self, behaviour: Behaviour, send: Send) -> None:
        if behaviour.fault == "nonsense":
            await _part(send, f"data: {behaviour.event}\n\n".encode(), more=True)
        elif behaviour.fault == "flood":
            await _part(send, b"data: ", more=True)
            for _ in range(_FLOOD_PARTS):
                await _part(send, b"x" * 65_536, more=True)
        await _part(send, b"data: [DONE]\n\n", more=False)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _drop_if_told(sequences: list[Sequence], behaviour: Behaviour) -> None:
    if behaviour.fault == "drop" and sequences[0].made >= behaviour.fault_after:
        raise ConnectionAbortedError("told to drop the connection")


async def _part(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _answer(send: Send, status: int, body: bytes, retry_after: str = "") -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if retry_after:
        headers.append((b"retry-after", retry_after.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await _part(send, body, more=False)


async def _error(send: Send, status: int, message: str, retry_after: str = "") -> None:
    error = {"message": message, "type": HTTPStatus(status).phrase.replace(" ", ""), "code": status}
    await _answer(send, status, orjson.dumps({"error": error}), retry_after)


def _header(scope: Message, name: bytes) -> str:
    return next((value.decode() for key, value in scope["headers"] if key == name), "")


def _words_of(path: str) -> tuple[str, ...]:
    words = tuple(Path(path).read_text().split())
    if not words:
        raise argparse.ArgumentTypeError(f"{path} holds no words")
    return words


def main() -> None:
    """Parse the flags, wait as long as a slow engine would, then serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed")
    parser.add_argument("--model", default="sim")
    parser.add_argument("--step-ms", type=float, default=5.0)
    parser.add_argument("--prefill-ms", type=float, default=0.0)
    parser.add_argument("--max-seqs", type=int, default=256)
    parser.add_argument("--fault", default="", choices=get_args(Fault))
    parser.add_argument("--event", default=_NO_CHUNK, help="the chunk of --fault nonsense")
    parser.add_argument("--fault-after", type=int, default=3)
    parser.add_argument("--finish", default="abort", help="the finish_reason of --fault cut")
    parser.add_argument("--fault-share", type=float, default=1.0, help="of the calls")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--refuse", type=int, default=0, help="the status to refuse calls with")
    parser.add_argument("--capacity", type=int, default=1_000_000)
    parser.add_argument("--busy-status", type=int, default=429)
    parser.add_argument("--retry-after", default="")
    parser.add_argument("--words", type=_words_of, default=_WORDS, help="a file of words to write")
    parser.add_argument("--lines", type=int, default=0, help="after which a sample ends by itself")
    parser.add_argument(
        "--lists", type=int, default=1, help="kinds of prompts with words of their own"
    )
    parser.add_argument("--line-words", type=int, default=_LINE_WORDS, help="of each line")
    parser.add_argument(
        "--own-lines", action="store_true", help="no line repeats the words of another"
    )
    parser.add_argument("--start-s", type=float, default=0.0, help="seconds before it listens")
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    parser.add_argument("--tls-client-ca", help="ask clients for a certificate of this authority")
    flags = parser.parse_args()
    time.sleep(flags.start_s)
    listener = socket.create_server(("127.0.0.1", flags.port), backlog=2048)
    scheme = "https" if flags.tls_cert else "http"
    sys.stdout.write(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    known = {name.name: getattr(flags, name.name) for name in fields(Behaviour)}
    uvicorn.Server(
        uvicorn.Config(
            Simulator(Behaviour(**known)),
            lifespan="off",
            log_level="critical",
            access_log=False,
            ssl_certfile=flags.tls_cert,
            ssl_keyfile=flags.tls_key,
            ssl_ca_certs=flags.tls_client_ca,
            ssl_cert_reqs=ssl.CERT_REQUIRED if flags.tls_client_ca else ssl.CERT_NONE,
        )
    ).run(sockets=[listener])


if __name__ == "__main__":
    main()
