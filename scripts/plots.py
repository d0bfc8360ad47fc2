"""Plots of records as SVG, the same bytes for the same records."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Axis:
    """A field of a record, and what it says along an axis."""

    key: str
    label: str


def pareto_front(rows: Rows, x: Axis, y: Axis) -> list[dict[str, Any]]:
    """Return the rows that no other beats in one field and matches in the other, by x."""
    front: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: (row[x.key], row[y.key])):
        if not front or row[y.key] < front[-1][y.key]:
            front.append(row)
    return front


def pareto_plot(rows: Rows, x: Axis, y: Axis) -> str:
    """Draw rows as points, a colour a design, and a line through those that are best.

    Smaller is better on both axes.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "rtloom"
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    names = list(dict.fromkeys(row["design"] for row in rows))
    front = pareto_front(rows, x, y)
    axes.plot(
        [row[x.key] for row in front],
        [row[y.key] for row in front],
        color="0.6",
        drawstyle="steps-post",
        label="Pareto front",
        zorder=1,
    )
    for index, name in enumerate(names):
        points = [row for row in rows if row["design"] == name]
        axes.scatter(
            [row[x.key] for row in points],
            [row[y.key] for row in points],
            s=24,
            color=f"C{index % 10}",
            label=name if len(names) <= 10 else None,
            zorder=2,
        )
    axes.set(xlabel=x.label, ylabel=y.label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9")
    axes.legend(fontsize="small")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return text.getvalue()
