#!/usr/bin/env bash
# LiteLLM streams the samples of a text completion with `n` > 1 as one sample: every event has index 0.
#
# litellm 1.108.7 from PyPI, Python 3.11. The SDK is asked below; its proxy (`/v1/completions`) does the same.
#
# Guessed: of an engine that streams two samples, each event with the index of its sample, a client gets the
# events with those indices and the two texts apart, as it does without `stream` and as chats do.
# Seen on 2026-11-28: every event says index 0, so that the tokens of all samples are one text, mixed in the
# order of their arrival ("left right handside"). Only the first sample has an end. The HTTP answer is a 200 and
# nothing says that samples are missing; without `stream` the same call gives both, whole and with their indices.
# For whoever merges several samples, as self-consistency does, that is one sample of nonsense.
#
# Fails if the streamed samples can be told apart, or if the whole answer does not have both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.108.7

LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKENS = [(0, "left ", None), (1, "right ", None), (0, "hand", "stop"), (1, "side", "stop")]
BASE = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "engine"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5}


class Engine(BaseHTTPRequestHandler):
    """What vLLM sends for `n` = 2, streamed or whole."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        if body.get("stream"):
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for index, text, end in TOKENS:
                choice = {"index": index, "text": text, "logprobs": None, "finish_reason": end}
                self.wfile.write(b"data: " + json.dumps(BASE | {"choices": [choice]}).encode() + b"\n\n")
            self.wfile.write(b"data: [DONE]\n\n")
            return
        self.send_header("content-type", "application/json")
        self.end_headers()
        texts = ["".join(text for at, text, _ in TOKENS if at == index) for index in (0, 1)]
        choices = [
            {"index": index, "text": text, "logprobs": None, "finish_reason": "stop"}
            for index, text in enumerate(texts)
        ]
        self.wfile.write(json.dumps(BASE | {"choices": choices, "usage": USAGE}).encode())

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
threading.Thread(target=server.serve_forever, daemon=True).start()

import litellm

call = {
    "model": "openai/engine",
    "prompt": "hands",
    "n": 2,
    "api_base": f"http://127.0.0.1:{server.server_address[1]}/v1",
    "api_key": "none",
}
whole = {one.index: one.text for one in litellm.text_completion(**call).choices}
streamed = {}
for event in litellm.text_completion(**call, stream=True):
    for choice in event.choices:
        streamed[choice.index] = streamed.get(choice.index, "") + (choice.text or "")
print("whole:   ", whole)
print("streamed:", streamed)
raise SystemExit(whole != {0: "left hand", 1: "right side"} or set(streamed) != {0})
PYTHON
echo "as seen"
