"""Refusals of Redis in the log: once when they begin, once when they are over."""

from __future__ import annotations

import logging

import pytest
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError, SlotNotCoveredError

from service.redis.faults import FaultLog, fault_of

FULL, REPLICA = fault_of(OutOfMemoryError("no")), fault_of(ReadOnlyError("no"))


def test_a_kind_is_said_when_it_begins_and_when_it_has_not_come_for_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "service.redis")
    now = [0.0]
    faults = FaultLog(lambda: now[0])

    def kinds() -> list[str]:
        found = [(record.levelname, record.getMessage()) for record in caplog.records]
        caplog.clear()
        return [f"{level} {'OOM' if 'OOM' in text else 'READONLY'}" for level, text in found]

    faults.worked()
    assert kinds() == []
    faults.failed(FULL)
    faults.failed(FULL)
    faults.failed(REPLICA)
    assert kinds() == ["WARNING OOM", "WARNING READONLY"]
    now[0] = 50.0
    faults.worked()
    faults.failed(REPLICA)
    assert kinds() == [], "reads that succeed between failing writes end nothing"
    now[0] = 61.0
    faults.worked()
    faults.worked()
    assert kinds() == ["INFO OOM"]
    now[0] = 111.0
    faults.worked()
    assert kinds() == ["INFO READONLY"]
    faults.failed(FULL)
    assert kinds() == ["WARNING OOM"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SlotNotCoveredError("Slot 5 is not covered"), "CLUSTERDOWN"),
        (OSError("no route to host"), "UNREACHABLE"),
        (ResponseError("unknown command 'OOMPH', BUSYBODY, READONLYISH"), "ERR"),
        (ResponseError(""), "ERR"),
    ],
)
def test_a_fault_has_its_kind_says_something_and_a_remedy(error: Exception, kind: str) -> None:
    fault = fault_of(error)
    assert fault.kind == kind
    assert fault.says.removeprefix("Redis failed: ")
    assert fault.remedy
