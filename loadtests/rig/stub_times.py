"""How long engine and index take by themselves: what a gateway's times are less by without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import uvloop

from loadtests.local_gateway import HOST, LocalGateway
from loadtests.rig.figures import percentile
from loadtests.rig.loops import OK, Calls, Request, open_loop
from loadtests.rig.prompts import completions, searches
from loadtests.rig.scene import Scene, in_turn
from service.errors import ConfigurationError

_ASKED = 50
"""Users whose searches are taken from a gateway's answers."""


@dataclass(frozen=True, slots=True)
class Direct:
    """The calls that a gateway makes for a request, to be sent without it."""

    engine_port: int
    index_port: int
    completions: Sequence[Request]
    searches: Sequence[Request]

    def median_ms(self, moments: Sequence[float]) -> tuple[float, float]:
        """The median of engine and of index, asked at these moments, one after the other."""
        engine = self._asked(self.engine_port, self.completions, moments)
        index = self._asked(self.index_port, self.searches, moments)
        return 1000 * percentile(engine.waited_s(), 0.5), 1000 * percentile(index.waited_s(), 0.5)

    def _asked(self, port: int, requests: Sequence[Request], moments: Sequence[float]) -> Calls:
        calls = uvloop.run(open_loop(HOST, port, in_turn(requests), moments))
        if not calls.said()[OK]:
            raise ConfigurationError(f"a stub gave no right answer: {dict(calls.said())}")
        return calls


def direct(there: Scene, gateway: LocalGateway) -> Direct:
    """What the gateway asks engine and stub index for the scene's users.

    Which queries it searches is read from its answers for some of them.
    """
    assert there.index is not None, "the embedded index cannot be asked without its gateway"
    texts = []
    with httpx.Client(base_url=gateway.url, timeout=30) as client:
        for request in there.requests[:_ASKED]:
            headers = {"content-type": "application/json"}
            reply = client.post(request.path, content=request.body, headers=headers)
            queries = reply.raise_for_status().json()["queries"]
            texts.append([query["text"] for query in queries])
    student = there.loaded.student
    return Direct(
        engine_port=there.engine.port,
        index_port=there.index.port,
        completions=completions(student, [signals for _, signals in there.users]),
        searches=searches(texts),
    )
