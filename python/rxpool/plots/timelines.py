"""Over time: levels with states shaded, and where the pages are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rxpool.errors import InputError
from rxpool.plots.frames import COLOURS, axes, label, need, one_replication, plain_text, tidy, unit_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LEVELS = ("held", "pool_ring", "pool_cache", "rx_fill")
"""What a timeline shows unless told otherwise: the pool and the ring."""

STATES = {
    "rx_overload_time": ("#cc79a7", "RX_OVERLOAD"),
    "breaker_holding_time": ("#e69f00", "breaker holding"),
    "breaker_open_time": ("#d55e00", "breaker open"),
    "breaker_half_open_time": ("#56b4e9", "breaker half open"),
    "breaker_hard_time": ("#000000", "breaker hard"),
}
"""States of a queue, shaded where the time spent in them grew: metric to colour and name."""

PLACES = ("posted", "pool_cache", "pool_ring", "held")
"""Places of a pool's pages, from the NIC upwards; they add up to ``inflight``."""


def timeline(
    frame: pd.DataFrame,
    metrics: Sequence[str] = LEVELS,
    *,
    component: str | None = None,
    states: Sequence[str] = tuple(STATES),
    replication: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Levels over simulated time, one line each; spans in which one of ``states`` is not zero are shaded.

    ``frame`` is ``Result.series``; ``component`` keeps that component and what is below it (a queue and its pool);
    the first replication unless told otherwise.
    """
    need(frame, ["time_ns", "component", "metric", "value"], "timeline")
    rows = _below(one_replication(frame, replication), component, "timeline")
    ax = tidy(axes(ax, width=9.0))
    lines = _lines(rows, metrics)
    if not lines:
        raise InputError(f"plot timeline: none of {', '.join(metrics)} was recorded; set record.every_us")
    for position, (name, part) in enumerate(lines):
        colour = COLOURS[position % len(COLOURS)]
        ax.step(part["time_ns"] / 1e6, part["value"], where="pre", color=colour, linewidth=1.1, label=plain_text(name))
    for position, (name, part) in enumerate(_lines(rows, states)):
        colour, shown = _state(name, position)
        for number, (begin, end) in enumerate(spans(part["time_ns"].to_numpy(float), part["value"].to_numpy(float))):
            ax.axvspan(
                begin / 1e6,
                end / 1e6,
                color=colour,
                alpha=0.15,
                linewidth=0,
                label=None if number else plain_text(shown),
            )
    units = dict.fromkeys(unit_of(part) for _, part in lines)
    ax.set_xlabel("simulated time (ms)")
    ax.set_ylabel(", ".join(units))
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, ncols=2)
    return ax


def pages(
    frame: pd.DataFrame, *, component: str | None = None, replication: int | None = None, ax: Axes | None = None
) -> Axes:
    """Where the pages of the page_pools are over time, stacked: posted, cache, ring, held; their sum is inflight.

    ``frame`` is ``Result.series``; all queues together unless ``component`` names one. Raises :class:`InputError` for a
    frame without these series.
    """
    need(frame, ["time_ns", "component", "metric", "value"], "pages")
    rows = _below(one_replication(frame, replication), component, "pages")
    places = rows[rows["metric"].isin(PLACES)]
    if places.empty:
        raise InputError("plot pages: no page place was recorded; set record.every_us")
    table = places.pivot_table(index="time_ns", columns="metric", values="value", aggfunc="sum")
    shown = [place for place in PLACES if place in table]
    ax = tidy(axes(ax, width=9.0))
    colours = [COLOURS[i] for i in range(len(shown))]
    stack = [table[place].to_numpy(float) for place in shown]
    ax.stackplot(table.index / 1e6, stack, labels=shown, colors=colours, alpha=0.8, step="pre", linewidth=0)
    ax.set_xlabel("simulated time (ms)")
    ax.set_ylabel(label("where the pages are", "pages"))
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    ax.margins(x=0)
    return ax


def spans(time_ns: np.ndarray, level: np.ndarray) -> list[tuple[float, float]]:
    """Spans (from, to) in which a sampled level is not zero; each sample stands for the time up to it."""
    found: list[tuple[float, float]] = []
    before = 2 * time_ns[0] - time_ns[1] if len(time_ns) > 1 else 0.0
    for begin, end, value in zip([before, *time_ns[:-1]], time_ns, level, strict=True):
        if value == 0:
            continue
        if found and found[-1][1] == begin:
            found[-1] = (found[-1][0], float(end))
        else:
            found.append((float(begin), float(end)))
    return found


def _state(name: str, position: int) -> tuple[str, str]:
    """Colour and name of a line of ``states``; ``name`` is the metric, with its component where several have it."""
    component, _, metric = name.rpartition(".")
    colour, shown = STATES.get(metric, (COLOURS[-1 - position % len(COLOURS)], metric))
    return colour, f"{component} {shown}".strip()


def _below(rows: pd.DataFrame, component: str | None, what: str) -> pd.DataFrame:
    if component is None:
        return rows
    inside = rows["component"].eq(component) | rows["component"].str.startswith(component + ".")
    if not inside.any():
        raise InputError(f"plot {what}: no component '{component}' in this frame")
    return rows[inside]


def _lines(rows: pd.DataFrame, metrics: Sequence[str]) -> list[tuple[str, pd.DataFrame]]:
    """One entry per metric and component, in the order of ``metrics``; the component is named where several have it."""
    lines = []
    for metric in metrics:
        parts = list(rows[rows["metric"] == metric].groupby("component", sort=False))
        for component, part in parts:
            lines.append((metric if len(parts) == 1 else f"{component}.{metric}", part))
    return lines
