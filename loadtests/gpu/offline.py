"""vLLM without a server: all prompts at once, as fast as the card computes them.

    python -m loadtests.gpu.offline FILE FOUND

Runs in the engine's environment. FILE is JSON: `argv`, the flags of the server that it is compared
with; `bodies`, calls as the gateway sends them; `rounds`, how often these are computed, after one
round that is thrown away, and each time without the prefixes of the time before. FOUND will be
JSON: `users_s` of each round, and `tokens` written in the last. vLLM talks on both outputs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

_SAMPLING = ("temperature", "top_p", "n", "max_tokens", "repetition_penalty", "stop", "seed")
"""Fields of a call that mean the same to vLLM's `SamplingParams`."""


def main() -> None:
    """Load, compute, write."""
    from vllm import LLM, SamplingParams
    from vllm.engine.arg_utils import EngineArgs
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    parser = EngineArgs.add_cli_args(FlexibleArgumentParser())
    flags, _ = parser.parse_known_args(given["argv"])
    model = LLM(**vars(flags))

    def computed(bodies: list[dict[str, Any]]) -> tuple[float, int]:
        prompts = [{"prompt_token_ids": body["prompt"]} for body in bodies]
        sampling = [SamplingParams(**sampling_of(body)) for body in bodies]
        began = time.perf_counter()
        found = model.generate(prompts, sampling, use_tqdm=False)
        seconds = time.perf_counter() - began
        return seconds, sum(len(one.token_ids) for answer in found for one in answer.outputs)

    users_s, tokens = [], 0
    for _ in range(given["rounds"] + 1):
        model.reset_prefix_cache()
        seconds, tokens = computed(given["bodies"])
        users_s.append(len(given["bodies"]) / seconds)
    found = {"users_s": users_s[1:], "tokens": tokens}
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")


def sampling_of(body: dict[str, Any]) -> dict[str, Any]:
    """What a call says of sampling, for `SamplingParams`."""
    return {name: body[name] for name in _SAMPLING if body.get(name) is not None}


if __name__ == "__main__":
    main()
