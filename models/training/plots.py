"""What a training run looked like: its losses, and what was watched, as one picture."""

from __future__ import annotations

from pathlib import Path

from models.training.watch import Watch
from service.files import whole_file

_SHARES = ("distinct", "valid", "own_words", "repeated")


def plot_training(watch: Watch, path: Path) -> None:
    """Write a PNG: loss (nats a token) above, the watched shares below, over steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    if watch.losses:
        above.plot(*zip(*watch.losses, strict=True), color="tab:gray", linewidth=1)
    above.set_ylabel("loss on answers, nats a token")
    steps = [look.step for look in watch.looks]
    for name in _SHARES:
        shares = [getattr(look, name) for look in watch.looks]
        below.plot(steps, shares, marker="o", label=name.replace("_", " "))
    below.set_ylim(-0.03, 1.03)
    below.set_ylabel("share, users not trained on")
    below.set_xlabel("step")
    below.legend(loc="center right")
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=110)
