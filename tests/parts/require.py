"""What happens when a part cannot be had: loud skip on a user's machine, failure in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


class Missing(Exception):
    """A part is not there; the message says what to do."""


def missing_part(part: str, remedy: str) -> NoReturn:
    """Skip the test, saying what is missing and what to do; in CI that is a failure."""
    message = f"{part} is missing: {remedy}"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
