"""Plots of results. matplotlib is in the extra `report` and imported when something is drawn."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from loadtests.rig.exponents import Points, Power
from loadtests.rig.rounds import Measured
from service.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[["Axes"], None]
"""Draws into axes that are empty but for their title."""


def require_plots() -> None:
    """Raise `ConfigurationError` where the library is missing: better before hours of measuring."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed: pip install 'interests[report]'"
        ) from error


def drawn(draw: Draw, title: str) -> bytes:
    """An SVG. Raises `ConfigurationError` as `require_plots` does."""
    require_plots()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    out = io.BytesIO()
    # A fixed salt and no date: the same numbers give the same file.
    with rc_context({"svg.hashsalt": "loadtests", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, loc="left")
        draw(axes)
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def of_rounds(measured: Measured, name: str) -> Draw:
    """One figure of every side, a point a round, and a line at each side's median."""

    def draw(axes: Axes) -> None:
        for number, side in enumerate(measured.sides):
            values = measured.values(side, name)
            colour = f"C{number}"
            axes.plot(range(1, len(values) + 1), values, "o", color=colour, label=side)
            axes.axhline(measured.spread(side, name).median, color=colour, linewidth=1)
        axes.set_xlabel("round")
        axes.set_xticks(range(1, 1 + max(len(measured.turns[side]) for side in measured.sides)))
        axes.set_ylabel(name)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)

    return draw


def of_shares(waited_ms: dict[str, Sequence[float]]) -> Draw:
    """How long answers took, a line a side: the share that took longer, on scales of powers."""

    def draw(axes: Axes) -> None:
        for side, values in waited_ms.items():
            ordered = sorted(values)
            longer = [1 - number / len(ordered) for number in range(len(ordered))]
            axes.step(ordered, longer, where="post", label=side)
        axes.set(xscale="log", yscale="log", xlabel="ms", ylabel="share that took longer")
        axes.legend(frameon=False)

    return draw


def of_growth(found: Mapping[str, tuple[Points, Power]], size: str) -> Draw:
    """Figures over a size on scales of powers: a point a round, and the fitted power as a line."""

    def draw(axes: Axes) -> None:
        for number, (name, (points, fitted)) in enumerate(found.items()):
            colour = f"C{number}"
            for at, values in points.items():
                axes.plot([at] * len(values), values, "o", color=colour, markersize=4, alpha=0.6)
            label = f"{name}: exponent {fitted.said()}"
            powers = [fitted.at(at) for at in points]
            axes.plot(list(points), powers, color=colour, linewidth=1, label=label)
        axes.set(xscale="log", yscale="log", xlabel=size)
        axes.legend(frameon=False)

    return draw
