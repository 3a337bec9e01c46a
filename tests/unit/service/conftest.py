"""The loop of the tests that say how they want to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.unit.service.clock import JumpingLoop


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """A loop whose clock jumps for what is marked `jumping_clock`, a common one for the rest."""
    jumps = item.get_closest_marker("jumping_clock") is not None
    return {"loop": JumpingLoop if jumps else asyncio.new_event_loop}
