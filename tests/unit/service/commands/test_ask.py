"""`interests ask`: what is sent of what was asked, and what is refused before it is sent."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from service.commands import answer, ask
from service.errors import InvalidInput


def sent(
    monkeypatch: pytest.MonkeyPatch, *options: str, form: tuple[str, ...] = ("--json",)
) -> dict[str, Any]:
    """The body that `interests ask` sends with those options."""
    bodies: list[dict[str, Any]] = []

    def post(url: str, body: dict[str, Any], *, key: str | None) -> dict[str, Any]:
        bodies.append(body)
        return {}

    monkeypatch.setattr(ask, "post_interests", post)
    monkeypatch.setattr(answer, "print_answer", lambda *_: None)
    app = typer.Typer()
    app.command()(ask.ask)
    result = CliRunner().invoke(app, ["u", "--url", "http://gateway", *form, *options])
    if result.exception is not None:
        raise result.exception
    return bodies[0]


def test_nothing_is_sent_that_was_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sent(monkeypatch).keys() == {"user_id", "limit", "max_queries"}


def test_an_answer_for_people_is_explained_unless_they_say_no(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert sent(monkeypatch, form=())["explain"]
    assert "explain" not in sent(monkeypatch, "--no-explain", form=())


def test_signals_age_and_explanation_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--signal", "search:a: b", "--signal", "video:c", "--max-age-hours", "2")
    body = sent(monkeypatch, *options, "--explain")
    assert [(s["domain"], s["text"]) for s in body["signals"]] == [
        ("search", "a: b"),
        ("video", "c"),
    ]
    assert (body["max_age_hours"], body["explain"]) == (2, True)


@pytest.mark.parametrize(
    "option",
    [("--signal", "cinema:x"), ("--signal", "search: "), ("--max-age-hours", "nan")],
)
def test_bad_options_are_named(option: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=option[0]):
        sent(monkeypatch, *option)
