"""Sweeps and tunings: a curve over one key, a map over two, the front of two objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rxpool.errors import InputError
from rxpool.plots.frames import COLOURS, axes, need, plain_text, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def sweep(frame: pd.DataFrame, x: str, metric: str, *, by: str | None = None, ax: Axes | None = None) -> Axes:
    """A metric over one varied key: means joined by a line, 95 % intervals as a band; one line per value of ``by``.

    ``frame`` is ``Sweep.frame([metric])``. A key whose values span a factor of 16 and more gets a logarithmic axis.
    Raises :class:`InputError` where another key varies too.
    """
    need(frame, [x, metric, f"{metric} low", f"{metric} high", *([by] if by else [])], "sweep")
    if frame.duplicated([x, *([by] if by else [])]).any():
        raise InputError("plot sweep: several rows have one x; give by=, or keep one value of every other varied key")
    ax = tidy(axes(ax))
    parts: list[tuple[Any, pd.DataFrame]] = list(frame.groupby(by, sort=True)) if by else [("", frame)]
    for position, (value, rows) in enumerate(parts):
        rows = rows.sort_values(x)
        colour = COLOURS[position % len(COLOURS)]
        name = plain_text(f"{by} = {value}") if by else None
        low, high = (rows[f"{metric} {end}"].to_numpy(float) for end in ("low", "high"))
        ax.plot(rows[x], rows[metric], "o-", color=colour, markersize=4, label=name)
        if np.isfinite(low).all() and np.isfinite(high).all():
            ax.fill_between(rows[x], low, high, color=colour, alpha=0.2, linewidth=0)
    keys = frame[x]
    if keys.dtype.kind in "iuf" and keys.min() > 0 and keys.max() >= 16 * keys.min():
        ax.set_xscale("log", base=2)
        ax.set_xticks(sorted(keys.unique()), [f"{k:g}" for k in sorted(keys.unique())])
        ax.minorticks_off()
    ax.set_xlabel(plain_text(x))
    ax.set_ylabel(plain_text(metric))
    if by:
        ax.legend(frameon=False)
    return ax


def heat_map(frame: pd.DataFrame, x: str, y: str, metric: str, *, ax: Axes | None = None) -> Axes:
    """A metric's mean over two varied keys, written into every cell; ``frame`` is ``Sweep.frame([metric])``.

    Raises :class:`InputError` where a third key varies, or no point has the metric.
    """
    need(frame, [x, y, metric], "heat_map")
    if frame.duplicated([x, y]).any():
        raise InputError("plot heat_map: several rows fall into one cell; keep one value of every other varied key")
    if not np.isfinite(frame[metric].to_numpy(float)).any():
        raise InputError(f"plot heat_map: no point has a value of {metric}")
    table = frame.pivot_table(index=y, columns=x, values=metric)
    ax = axes(ax, width=1.6 + 0.9 * len(table.columns), height=1.2 + 0.5 * len(table.index))
    image = ax.imshow(table.to_numpy(float), aspect="auto", origin="lower", cmap="viridis")
    ax.set_xticks(range(len(table.columns)), [plain_text(_text(v)) for v in table.columns])
    ax.set_yticks(range(len(table.index)), [plain_text(_text(v)) for v in table.index])
    middle = np.nanmean([np.nanmin(table.to_numpy(float)), np.nanmax(table.to_numpy(float))])
    for row, values in enumerate(table.to_numpy(float)):
        for column, value in enumerate(values):
            if np.isfinite(value):
                colour = "white" if value < middle else "black"
                ax.text(column, row, f"{value:.4g}", ha="center", va="center", color=colour, fontsize=8)
    ax.set_xlabel(plain_text(x))
    ax.set_ylabel(plain_text(y))
    ax.figure.colorbar(image, ax=ax, label=plain_text(metric))
    return ax


def pareto(frame: pd.DataFrame, x: str, y: str, *, ax: Axes | None = None) -> Axes:
    """Two objectives of a tuning: every trial, those that break a condition hollow, the best joined by a line.

    ``frame`` is ``Tuning.frame``. Raises :class:`InputError` for one objective twice.
    """
    need(frame, [x, y, "feasible", "best"], "pareto")
    if x == y:
        raise InputError("plot pareto: two different objectives, please")
    ax = tidy(axes(ax))
    allowed, broken = frame[frame["feasible"]], frame[~frame["feasible"]]
    ax.plot(broken[x], broken[y], "o", mfc="white", color=COLOURS[6], markersize=5, label="breaks a condition")
    ax.plot(allowed[x], allowed[y], "o", color=COLOURS[5], markersize=5, label="trial")
    best = frame[frame["best"]].sort_values([x, y])
    ax.step(best[x], best[y], where="post", color=COLOURS[1], linewidth=1.2)
    ax.plot(best[x], best[y], "D", color=COLOURS[1], markersize=6, label="best")
    ax.set_xlabel(plain_text(x))
    ax.set_ylabel(plain_text(y))
    ax.legend(frameon=False)
    return ax


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
