"""Which own signals are searched, and by what of their text."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import numpy as np

from models.evaluation.bench import Bench
from models.studies.own_signals import SERVED, measure_ways, runs_of
from service.encoding.onnx import OnnxModel
from service.records import Vectors
from tests.unit.models.builders import reader, signal, small_set

BEN = reader("ben", "bread", signal("how to make it rise", 0), signal("tin", 1, "purchase"))


class Asked:
    """A model for which only a text with its stop words is near to bread."""

    manifest = SimpleNamespace(key="asked@1", unrelated=0.1, dimension=2)

    def encode(self, texts: Sequence[str], role: str) -> Vectors:
        whole = [(role == "article" and "sourdough" in t.lower()) or "how to" in t for t in texts]
        return np.array([[1, 0] if one else [0, 1] for one in whole], np.float32)


def test_the_whole_text_of_a_signal_is_what_meaning_is_given() -> None:
    with Bench(small_set(BEN), encoder=cast(OnnxModel, Asked())) as bench:
        telling, whole = (
            runs_of(bench, BEN, (12, encoded)) for encoded in ("telling words", "whole text")
        )
        found = measure_ways(bench, [SERVED, (12, "telling words"), (0, "whole text")])
    assert [run.query.text for run in telling] == [run.query.text for run in whole]
    assert not any("sourdough" in hit.title.lower() for run in telling for hit in run.near)
    assert any("sourdough" in hit.title.lower() for run in whole for hit in run.near)
    assert found[SERVED][0] > found[12, "telling words"][0]
    assert found[0, "whole text"].tolist() == [0.0]
