"""One sample instead of several, while this process or the engines have little room left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from service.overload.saving import Saving, Step
from service.records import GenerationRequest


class FewerSamples:
    """Says what a student is asked for: its usual samples, or one.

    A list of one sample is another list than one that several agree on, and is kept as such: see
    `StudentSpec.list_key`.
    """

    def __init__(
        self, saving: Saving, own: Callable[[], Step], engines: Callable[[], float]
    ) -> None:
        """`own`: how much this process saves; `engines`: how full the student's engines are."""
        self._saving = saving
        self._own = own
        self._engines = engines
        self._step = Step.NOTHING

    def __call__(self, request: GenerationRequest) -> GenerationRequest:
        """The request as it is to be written."""
        self._step = self._saving.step(self._engines(), self._step)
        decoding = request.student.decoding
        if decoding.n == 1 or max(self._step, self._own()) < Step.SAMPLES:
            return request
        one = replace(request.student, decoding=replace(decoding, n=1))
        return replace(request, student=one)
