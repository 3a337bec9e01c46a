"""The lists of a training that are worth reading, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from models.rewards.suspects import Scored, Suspect, at_odds, highest
from models.rewards.terms import Reward
from service.files import whole_file

_SHOWN = 10


def write_suspects(path: Path, lists: Sequence[Scored], rewards: Sequence[Reward]) -> None:
    """Write the page; nothing where no list was rewarded. It is complete or as it was."""
    if not lists:
        return
    with whole_file(path) as file:
        file.write("\n".join(_page(lists, rewards)).encode())


def _page(lists: Sequence[Scored], rewards: Sequence[Reward]) -> Iterator[str]:
    yield "# Lists worth reading"
    yield ""
    yield (
        f"Of the last {len(lists):,} sampled lists. A list that is no good and stands here shows "
        "what the rewards overlook."
    )
    yield from _table("Highest rewards", "weighted mean", highest(lists, rewards, _SHOWN))
    yield from _table(
        "Rewards that disagree", "spreads apart", at_odds(lists, rewards, _SHOWN), why=True
    )
    yield ""


def _table(
    title: str, amount: str, found: Sequence[Suspect], *, why: bool = False
) -> Iterator[str]:
    heads = ["user", "list", *(["why"] if why else []), amount, "rewards"]
    yield from ("", f"## {title}", "", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}")
    for one in found:
        text = "<br>".join(_cell(line) for line in one.scored.text.splitlines() if line.strip())
        scores = ", ".join(
            f"{name} {value:.2f}" if value is not None else f"{name} –"
            for name, value in one.scored.scores.items()
        )
        cells = [one.scored.user, text, *([one.why] if why else []), f"{one.amount:.2f}", scores]
        yield f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|").replace("<", "&lt;")
