"""Both backends' series over one another: what a validation looks like over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rxpool.errors import InputError
from rxpool.plots.frames import COLOURS, axes, label, need, panels, pick, tidy, unit_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FORMATS = ("svg", "png", "pdf")
WIDTH, HEIGHT = 9.0, 3.0  # inches


def backends(frame: pd.DataFrame, metric: str = "held", *, ax: Axes | None = None) -> Axes:
    """One level over time on both backends, every replication a thin line; ``frame`` is ``Validation.series``."""
    need(frame, ["backend", "replication", "time_ns"], "backends")
    rows = pick(frame, metric, "backends")
    ax = tidy(axes(ax, WIDTH, HEIGHT))
    for colour, (backend, part) in zip(COLOURS, rows.groupby("backend", sort=True), strict=False):
        for number, (_, run) in enumerate(part.groupby("replication", sort=True)):
            name = None if number else str(backend)
            ax.step(run["time_ns"] / 1e6, run["value"], where="pre", color=colour, linewidth=0.8, alpha=0.7, label=name)
    ax.set_xlabel("time since the first send (ms)")
    ax.set_ylabel(label(metric, unit_of(rows)))
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, ncols=2)
    return ax


def write_backends(frame: pd.DataFrame, metrics: Sequence[str], path: Path) -> None:
    """Writes one panel per metric under each other; the file's ending says how."""
    shown = panels(len(metrics), WIDTH, HEIGHT)
    from matplotlib import pyplot

    for metric, ax in zip(metrics, shown, strict=True):
        backends(frame, metric, ax=ax)
    pyplot.savefig(picture_path(path))
    pyplot.close()


def picture_path(path: Path) -> Path:
    """The path itself. Raises :class:`InputError` for an ending that is no picture's."""
    if path.suffix.removeprefix(".") not in FORMATS:
        raise InputError(f"{path}: a picture is written as {', '.join(FORMATS)}")
    return path
