"""The small template and tokenizer of the prompt's tests."""

from __future__ import annotations

from tests.unit.service.signals.conftest import template, tokenizer, tokenizer_file

__all__ = ["template", "tokenizer", "tokenizer_file"]
