"""The demo's users are answered as they were: over HTTP, with the student's outputs recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.recorded import answers, read_record

pytestmark = [pytest.mark.redis, pytest.mark.timeout(280)]


async def test_every_demo_user_gets_the_recorded_answer(built_student: Path) -> None:
    """Queries, their weights and hits, the candidates and what found them; scores to the digits
    that an answer shows. `python -m tests.parts.recorded` records them anew."""
    record = read_record()
    found = await answers(record["outputs"], built_student)
    assert found.keys() == record["answers"].keys()
    changed = [user for user, answer in found.items() if answer != record["answers"][user]]
    assert not changed, (
        f"{len(changed)} of {len(found)} answers differ, {changed[0]} among them:\n"
        f"now {found[changed[0]]}\nrecorded {record['answers'][changed[0]]}"
    )
