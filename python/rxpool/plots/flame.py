"""Who the CPUs worked for: a flame of every CPU by context, and by step where steps were recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rxpool.errors import InputError
from rxpool.plots.frames import COLOURS, axes, need, plain_text
from rxpool.record import CONTEXTS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_CPU = re.compile(r"^cpus\.[^.]+$")
_STEP = re.compile(r"^(cpus\.[^.]+)\.steps\.([^.]+)\.(.+)$")


def cpu(frame: pd.DataFrame, *, smallest: float = 0.5, ax: Axes | None = None) -> Axes:
    """CPU time as a flame: one row per CPU; each box is as wide as its share of simulated time, in percent.

    ``frame`` is ``Result.metrics``, averaged over replications. Below a CPU are its contexts, below these the steps
    where the scenario has ``record.per_step``. Boxes narrower than ``smallest`` percent have no text.
    Raises :class:`InputError` for a frame without CPUs.
    """
    need(frame, ["component", "metric", "value"], "cpu")
    means = frame.groupby(["component", "metric"], sort=False)["value"].mean()
    names = [c for c in dict.fromkeys(frame["component"]) if _CPU.match(str(c))]
    if not names:
        raise InputError("plot cpu: the frame has no CPU")
    steps = list(_steps(means))
    depth = 3 if steps else 2
    ax = axes(ax, width=9.0, height=0.8 + 0.28 * (depth + 0.6) * len(names))
    for position, name in enumerate(names):
        top = position * (depth + 0.6)
        _box(ax, 0.0, top, float(means[name, "busy"]), name.partition(".")[2], "#bbbbbb", smallest)
        left = 0.0
        for number, context in enumerate(CONTEXTS):
            share = float(means.get((name, f"busy_{context}"), 0.0))
            _box(ax, left, top + 1, share, context, COLOURS[number], smallest)
            inner = left
            for step, part in sorted(
                ((step, part) for owner, own, step, part in steps if (owner, own) == (name, context)),
                key=lambda entry: -entry[1],
            ):
                _box(ax, inner, top + 2, part, step, COLOURS[number], smallest, 0.45)
                inner += part
            left += share
    ax.set_xlim(0, max(1.0, max(float(means[name, "busy"]) for name in names)))
    ax.set_ylim(len(names) * (depth + 0.6), 0)
    ax.set_yticks([])
    ax.set_xlabel("CPU time (% of simulated time)")
    ax.spines[["top", "right", "left"]].set_visible(False)
    return ax


def _steps(means: pd.Series[float]) -> Iterator[tuple[str, str, str, float]]:
    """CPU, context, step and percent of every step that took time: a context's busy share split by step time."""
    if "step_time" not in means.index.get_level_values("metric"):
        return
    found = [
        (match[1], match[2], match[3], float(value))
        for component, value in means.xs("step_time", level="metric").items()
        if value > 0 and (match := _STEP.match(str(component)))
    ]
    found = [entry for entry in found if entry[2] != "idle_exit"]  # waking up is not busy time
    totals: dict[tuple[str, str], float] = {}
    for name, context, _, time in found:
        totals[name, context] = totals.get((name, context), 0.0) + time
    for name, context, step, time in found:
        yield name, context, step, float(means[name, f"busy_{context}"]) * time / totals[name, context]


def _box(
    ax: Axes, left: float, top: float, width: float, text: str, colour: str, smallest: float, alpha: float = 0.85
) -> None:
    if width <= 0:
        return
    ax.barh(top + 0.5, width, left=left, height=0.94, color=colour, alpha=alpha, edgecolor="white", linewidth=0.6)
    if width >= max(smallest, 0.9 * len(text)):
        share = f"{text} {width:.1f} %" if width > 1.2 * len(text) + 7 else text
        ax.text(left + width / 2, top + 0.5, plain_text(share), ha="center", va="center", fontsize=7.5, clip_on=True)
