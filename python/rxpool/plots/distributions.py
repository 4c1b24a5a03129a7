"""Distributions: empirical CDFs, and the quantiles of latencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rxpool.plots.frames import COLOURS, axes, full_names, groups, label, need, pick, plain_text, tidy, unit_of
from rxpool.statistics import mean_interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999, "p99_99": 0.9999}
"""Suffixes of latency metrics and the quantile that each one is."""


def cdf(frame: pd.DataFrame, metric: str, *, ax: Axes | None = None) -> Axes:
    """The distribution of one metric per policy.

    Of a ``series`` frame: the share of samples at or below a value, all replications together (time-weighted, because
    samples are equidistant). Of a ``metrics`` frame: the share of replications. For a latency (``rx_latency``, or
    ``COMPONENT.rx_latency``) its quantiles, each the mean over replications with its interval, on a scale of the share
    that is slower.
    """
    need(frame, ["metric", "value"], "cdf")
    if (full_names(frame) == f"{metric}_p50").any() or (frame["metric"] == f"{metric}_p50").any():
        return _latency(frame, metric, ax)
    rows = pick(frame, metric, "cdf")
    ax = tidy(axes(ax))
    for position, (name, part) in enumerate(groups(rows)):
        values = np.sort(part["value"].to_numpy(float))
        values = values[np.isfinite(values)]
        share = np.arange(1, len(values) + 1) / max(1, len(values))
        ax.step(values, share, where="post", color=COLOURS[position % len(COLOURS)], label=plain_text(name))
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(plain_text(label(metric, unit_of(rows))))
    ax.set_ylabel("share of samples" if "time_ns" in frame else "share of replications")
    ax.legend(frameon=False)
    return ax


def _latency(frame: pd.DataFrame, metric: str, ax: Axes | None) -> Axes:
    ax = tidy(axes(ax))
    parts = {suffix: pick(frame, f"{metric}_{suffix}", "cdf") for suffix in QUANTILES}
    order = [name for name, _ in groups(parts["p50"])]
    for position, name in enumerate(order):
        slower, mean, spread = [], [], []
        for suffix, q in QUANTILES.items():
            values = dict(groups(parts[suffix]))[name]["value"].to_numpy(float)
            values = values[np.isfinite(values)]
            if len(values):
                interval = mean_interval(values)
                slower.append(1 - q)
                mean.append(interval.estimate)
                spread.append(0.0 if interval.n == 1 else interval.half_width)
        colour = COLOURS[position % len(COLOURS)]
        ax.errorbar(mean, slower, xerr=spread, fmt="o-", color=colour, capsize=3, markersize=4, label=plain_text(name))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(plain_text(label(metric, unit_of(parts["p50"]))))
    ax.set_ylabel("share of packets that is slower")
    ax.legend(frameon=False)
    return ax
