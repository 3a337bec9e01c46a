"""What an encoder gives is checked before anybody compares it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.encoding.vectors import unit_rows
from service.errors import EncoderUnavailable


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)))
def test_every_row_has_length_one_or_is_all_zeros(raw: np.ndarray) -> None:
    lengths = np.linalg.norm(unit_rows(raw, 3, 4), axis=1)
    assert all(length == 0 or length == pytest.approx(1, abs=1e-3) for length in lengths)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    raw = np.ones((2, 3))
    raw[1, 2] = value
    with pytest.raises(EncoderUnavailable, match="not finite"):
        unit_rows(raw, 2, 3)


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (6,), (0,)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(EncoderUnavailable, match="2 texts of 3 dimensions"):
        unit_rows(np.ones(shape), 2, 3)
