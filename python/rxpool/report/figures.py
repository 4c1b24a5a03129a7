"""The page's figures as plain values for plotly.js; long series as base64 of little-endian doubles.

Texts in a figure are HTML-escaped here, because plotly.js reads tags in them.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rxpool.comparing import Comparison
from rxpool.measures import drop_reasons
from rxpool.plots.frames import COLOURS
from rxpool.plots.timelines import LEVELS, PLACES, STATES, spans
from rxpool.record import CONTEXTS, Ledger, Replication, Series
from rxpool.result import Result
from rxpool.table import CPU, queue_names

Figure = dict[str, Any]


def timeline(replication: Replication) -> Figure | None:
    """Pool and ring of every queue over time; with several queues only ``held`` is shown at first."""
    queues = queue_names(s.component for s in replication.series)
    lines = [s for metric in LEVELS for s in replication.series if s.metric == metric and s.component in queues]
    if not lines:
        return None
    several = len(set(queues.values())) > 1
    traces = []
    for position, series in enumerate(lines):
        name = f"{queues[series.component]} {series.metric}" if several else series.metric
        trace = _line(series, name, COLOURS[position % len(COLOURS)])
        if several and series.metric != "held":
            trace["visible"] = "legendonly"
        traces.append(trace)
    return {
        "id": "timeline",
        "traces": traces,
        "thin": "each",
        "layout": _layout("simulated time (ms)", ", ".join(dict.fromkeys(s.unit for s in lines))),
        "shapes": list(_state_shapes(replication, queues if several else {})),
    }


def places(replication: Replication) -> Figure | None:
    """Where the pages of all pools are over time, stacked."""
    queues = queue_names(s.component for s in replication.series)
    traces = []
    for position, place in enumerate(PLACES):
        same = [s for s in replication.series if s.metric == place and s.component in queues]
        if same:
            total = Series("", place, "pages", same[0].time_ns, np.sum([s.value for s in same], axis=0))
            trace = _line(total, place, COLOURS[position])
            traces.append({**trace, "stackgroup": "pages", "line": {"width": 0.5, "color": COLOURS[position]}})
    if not traces:
        return None
    return {
        "id": "places",
        "traces": traces,
        "thin": "together",
        "layout": _layout("simulated time (ms)", "pages"),
    }


def drops(packets: Ledger, replications: int) -> Figure | None:
    """Dropped packets by reason, mean over replications."""
    reasons = drop_reasons(packets, replications)
    if not reasons:
        return None
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": [count for _, count in reasons],
        "y": [html.escape(reason) for reason, _ in reasons],
        "marker": {"color": COLOURS[1]},
        "hovertemplate": "%{y}: %{x:,.12~g} packets<extra></extra>",
    }
    layout = _layout("packets", "")
    layout["yaxis"] |= {"autorange": "reversed", "automargin": True, "title": {"text": ""}}
    return {"id": "drops", "traces": [bar], "layout": {**layout, "height": 110 + 28 * len(reasons)}}


def cpus(result: Result) -> Figure | None:
    """Busy time of every CPU by context, mean over replications."""
    names = list(dict.fromkeys(c for c in result.replications[0].component if CPU.match(c)))
    if not names:
        return None
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": context,
            "x": [result.mean(name, f"busy_{context}") for name in names],
            "y": [html.escape(name.partition(".")[2]) for name in names],
            "marker": {"color": COLOURS[position]},
            "hovertemplate": f"%{{y}} {context}: %{{x:.12~g}} %<extra></extra>",
        }
        for position, context in enumerate(CONTEXTS)
    ]
    layout = _layout("CPU time (% of simulated time)", "")
    layout["yaxis"] |= {"autorange": "reversed", "automargin": True, "title": {"text": ""}}
    layout["xaxis"]["range"] = [0, 100]
    return {"id": "cpus", "traces": traces, "layout": {**layout, "barmode": "stack", "height": 130 + 26 * len(names)}}


def differences(comparison: Comparison) -> Figure | None:
    """Differences to the baseline in percent of its mean, with their intervals."""
    rows = [row for row in comparison.rows if row.difference.baseline and row.difference.interval.n > 1]
    if not rows:
        return None
    scale = [100 / abs(row.difference.baseline) for row in rows]
    intervals = [row.difference.interval for row in rows]
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [s * i.estimate for s, i in zip(scale, intervals, strict=True)],
            "y": [html.escape(f"{row.metric}, {row.policy}") for row in rows],
            "error_x": {"array": [s * i.half_width for s, i in zip(scale, intervals, strict=True)]},
            "marker": {
                "size": 9,
                "color": COLOURS[0],
                "symbol": ["diamond" if row.significant else "diamond-open" for row in rows],
            },
            "hovertemplate": "%{y}: %{x:.6~g} % ± %{error_x.array:.3~g}<extra></extra>",
        }
    ]
    layout = _layout("difference to the baseline (% of its mean)", "")
    layout["yaxis"] |= {"autorange": "reversed", "automargin": True, "title": {"text": ""}}
    layout["xaxis"] |= {"zeroline": True, "zerolinecolor": "#333"}
    return {"id": "differences", "traces": traces, "layout": {**layout, "height": 120 + 30 * len(rows)}}


def encoded(values: npt.ArrayLike) -> str:
    """Numbers as base64 of little-endian doubles: exact, and quick to read."""
    return base64.b64encode(np.asarray(values, "<f8").tobytes()).decode()


def _line(series: Series, name: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": html.escape(name),
        "long_x": encoded(series.time_ns / 1e6),
        "long_y": encoded(series.value),
        "line": {"shape": "vh", "width": 1.4, "color": colour},
        "hovertemplate": f"%{{x:.9~g}} ms: %{{y:,.12~g}} {html.escape(series.unit)}",
    }


def _state_shapes(replication: Replication, queues: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The spans in which a queue was overloaded or its breaker not closed; the legend hides all of one kind at once.

    ``queues`` names the queue of each component where there are several.
    """
    for series in replication.series:
        if series.metric not in STATES:
            continue
        colour, state = STATES[series.metric]
        name = html.escape(f"{queues[series.component]} {state}" if series.component in queues else state)
        for number, (begin, end) in enumerate(spans(series.time_ns.astype(float), series.value)):
            yield {
                "type": "rect",
                "yref": "paper",
                "x0": begin / 1e6,
                "x1": end / 1e6,
                "y0": 0,
                "y1": 1,
                "layer": "below",
                "line": {"width": 0},
                "fillcolor": colour,
                "opacity": 0.2,
                "name": name,
                "legendgroup": name,
                "showlegend": number == 0,
            }


def _layout(x: str, y: str) -> dict[str, Any]:
    return {"xaxis": {"title": {"text": html.escape(x)}}, "yaxis": {"title": {"text": html.escape(y)}}}
