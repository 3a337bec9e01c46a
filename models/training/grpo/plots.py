"""What a training by rewards looked like, as one picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.training.grpo.progress import Progress
from service.files import whole_file

_MEAN_OF = 5
"""Steps that a line is smoothed over: a step is of few prompts."""


def plot_progress(progress: Progress, path: Path) -> None:
    """Write a PNG: rewards in training, rewards of tune people, how far and how sure the policy."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 10), layout="constrained")
    training, tune, policy = figure.subplots(3, 1, sharex=True)
    names = sorted({name for row in progress.steps for name in row if name.startswith("rewards/")})
    for name in names:
        _line(training, progress.steps, name, name.partition("/")[2])
    training.set_ylabel(f"reward in training, mean of {_MEAN_OF} steps")
    steps = [look.step for look in progress.looks]
    for name in progress.looks[0].rewards if progress.looks else ():
        values = [look.rewards.get(name) for look in progress.looks]
        tune.plot(steps, values, marker="o", linewidth=1, label=name)
    tune.plot(steps, [look.reward for look in progress.looks], "k--", label="all, weighted")
    tune.set_ylabel("reward of tune people, by judges")
    for name, label in (("kl", "KL, nats a token"), ("entropy", "entropy, nats a token")):
        _line(policy, progress.steps, name, label)
    lengths = policy.twinx()
    _line(lengths, progress.steps, "tokens", "tokens of a list", color="tab:gray")
    policy.set_xlabel("step")
    lengths.set_ylabel("tokens")
    for axes in (training, tune, policy):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="center left", bbox_to_anchor=(1.06, 0.5), fontsize="small")
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=110)


def smoothed(values: Sequence[float], over: int) -> list[float]:
    """The mean of each value and of those before it, `over` in all."""
    return [
        sum(values[max(0, end - over) : end]) / (end - max(0, end - over))
        for end in range(1, len(values) + 1)
    ]


def _line(
    axes: Any, rows: Iterable[Mapping[str, float]], name: str, label: str, **style: str
) -> None:
    points = [(row["step"], row[name]) for row in rows if name in row]
    if points:
        steps, values = zip(*points, strict=True)
        axes.plot(steps, smoothed(values, _MEAN_OF), linewidth=1, label=label, **style)
