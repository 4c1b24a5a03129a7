"""Policies beside each other: means with intervals, and paired differences to the baseline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rxpool.plots.frames import COLOURS, axes, groups, label, need, pick, plain_text, tidy, unit_of
from rxpool.statistics import CONFIDENCE, mean_interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def policies(
    frame: pd.DataFrame, metric: str, *, confidence: float = CONFIDENCE, points: bool = True, ax: Axes | None = None
) -> Axes:
    """One metric per policy: mean and t interval over replications, the replications themselves as faint points.

    ``frame`` is ``Result.metrics``, ``Comparison.metrics`` or ``Comparison.values``; ``metric`` a full name or a bare
    one that a single component has.
    """
    rows = pick(frame, metric, "policies")
    ax = tidy(axes(ax, height=1.2 + 0.55 * len(groups(rows))))
    names = []
    for position, (name, part) in enumerate(groups(rows)):
        names.append(plain_text(name))
        values = part["value"].to_numpy(float)
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        interval = mean_interval(values, confidence)
        colour = COLOURS[position % len(COLOURS)]
        if points:
            ax.plot(values, np.full(len(values), position), "o", color=colour, alpha=0.25, markersize=4, mew=0)
        spread = 0.0 if interval.n == 1 else interval.half_width
        ax.errorbar(interval.estimate, position, xerr=spread, fmt="D", color=colour, capsize=5, markersize=6)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel(plain_text(label(metric, unit_of(rows))) + f", mean and {100 * confidence:g} % interval")
    return ax


def differences(frame: pd.DataFrame, metric: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Paired differences to the baseline in percent of its mean, with their intervals; filled where significant.

    ``frame`` is ``Comparison.frame``; one line per metric and policy, or those of one ``metric``. Lines whose baseline
    is zero have no percentage and are left out.
    """
    need(frame, ["metric", "policy", "difference", "low", "high", "baseline_mean", "significant"], "differences")
    rows = frame if metric is None else pick(frame.assign(value=frame["difference"]), metric, "differences")
    rows = rows[rows["baseline_mean"] != 0]
    need(rows, ["metric"], "differences")
    ax = tidy(axes(ax, height=1.2 + 0.45 * len(rows)))
    known = list(dict.fromkeys(rows["policy"]))
    names = []
    for position, (_, row) in enumerate(rows.iterrows()):
        scale = 100 / abs(row["baseline_mean"])
        middle = scale * row["difference"]
        ends = [middle - scale * row["low"], scale * row["high"] - middle]
        spread = [[e] if math.isfinite(e) else [0.0] for e in ends]
        colour = COLOURS[known.index(row["policy"]) % len(COLOURS)]
        fill = colour if row["significant"] else "white"
        ax.errorbar(middle, position, xerr=spread, fmt="D", color=colour, mfc=fill, capsize=4, markersize=6)
        names.append(plain_text(f"{row['metric']}, {row['policy']}"))
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel(plain_text(f"difference to {rows['baseline'].iloc[0]} (% of its mean)"))
    return ax
