"""Send times of a scenario's traffic for the lab's pacer.

Every law of the scenario becomes a cumulated intensity over time; its inverse gives the times. Draws are numpy's, from
the scenario's seed, so a replication is repeatable but not the simulator's own sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]


def send_times(source: Mapping[str, Any], end_ms: float, random: np.random.Generator) -> Times:
    """Times in ns from the begin, sorted, of one resolved traffic entry until ``end_ms``."""
    start_ns = float(source.get("start_ms", 0)) * 1e6
    stop = source.get("stop_ms") or 0
    end_ns = min(end_ms, float(stop) if stop else end_ms) * 1e6
    if end_ns <= start_ns:
        return np.empty(0)
    if source["kind"] == "incast":
        return _incast(source, start_ns, end_ns, random)
    edges, rates = _rates(source, end_ns - start_ns, random)
    edges, rates = _scheduled(source, start_ns, edges, rates)
    cumulated = np.concatenate(([0.0], np.cumsum(np.diff(edges) * rates)))
    total = float(cumulated[-1])
    if source["kind"] in ("constant", "on_off"):
        marks = np.arange(0.0, total, 1.0)
    else:
        gaps = random.exponential(size=int(total + 6 * total**0.5 + 16))
        marks = np.cumsum(gaps)
        marks = marks[marks < total]
    # Flat stretches make the inverse ambiguous; the mark lies at their end, where sending begins again.
    times: Times = start_ns + np.interp(marks, cumulated + np.arange(cumulated.size) * 1e-9, edges)
    return times


def _rates(source: Mapping[str, Any], length_ns: float, random: np.random.Generator) -> tuple[Times, Times]:
    """Pieces of constant rate: edges in ns and packets per ns between them."""
    if source["kind"] == "mmpp":
        states = [source["states"][name] for name in sorted(source["states"])]
        pieces = [(random.exponential(s["mean_us"]) * 1e3, s["rate_pps"] / 1e9) for s in _cycle(states, length_ns)]
    elif source["kind"] == "on_off":
        on_us, off_us = float(source["on_mean_us"]), float(source["off_mean_us"])
        rate = float(source["rate_pps"]) * (on_us + off_us) / on_us / 1e9
        pieces = []
        total = 0.0
        while total < length_ns:
            for mean, piece_rate in ((on_us, rate), (off_us, 0.0)):
                pieces.append((_period(source, mean, random) * 1e3, piece_rate))
                total += pieces[-1][0]
    else:
        pieces = [(length_ns, float(source["rate_pps"]) / 1e9)]
    edges = np.concatenate(([0.0], np.cumsum([length for length, _ in pieces])))
    rates = np.array([rate for _, rate in pieces])
    keep = int(np.searchsorted(edges, length_ns, side="left"))
    edges = edges[: keep + 1]
    edges[-1] = min(edges[-1], length_ns)
    return edges, rates[:keep]


def _cycle(states: list[Mapping[str, Any]], length_ns: float) -> list[Mapping[str, Any]]:
    rounds = int(length_ns / (sum(float(s["mean_us"]) for s in states) * 1e3) * 2) + 8
    return states * rounds


def _period(source: Mapping[str, Any], mean: float, random: np.random.Generator) -> float:
    if source.get("periods", "exponential") == "pareto":
        shape = float(source["pareto_shape"])
        return float((random.pareto(shape) + 1) * mean * (shape - 1) / shape)
    return float(random.exponential(mean))


def _scheduled(source: Mapping[str, Any], start_ns: float, edges: Times, rates: Times) -> tuple[Times, Times]:
    """The rate times the factor of the schedule, ramps in steps of a tenth of a millisecond."""
    points = sorted(source.get("schedule", {}).values(), key=lambda p: p["at_ms"])
    if not points:
        return edges, rates
    grid = np.arange(0.0, edges[-1], 1e5)
    edges_new = np.unique(np.concatenate((edges, grid)))
    middle = (edges_new[:-1] + edges_new[1:]) / 2 + start_ns
    base = rates[np.clip(np.searchsorted(edges, middle - start_ns, side="right") - 1, 0, rates.size - 1)]
    factor = np.ones_like(middle)
    for i, point in enumerate(points):
        at = point["at_ms"] * 1e6
        following = points[i + 1] if i + 1 < len(points) else None
        until = following["at_ms"] * 1e6 if following else np.inf
        inside = (middle >= at) & (middle < until)
        value: Times | float = point["factor"]
        if point.get("ramp") and following:
            share = (middle[inside] - at) / (until - at)
            value = point["factor"] + share * (following["factor"] - point["factor"])
        factor[inside] = value
    return edges_new, base * factor


def _incast(source: Mapping[str, Any], start_ns: float, end_ns: float, random: np.random.Generator) -> Times:
    senders, frames = int(source["incast_senders"]), int(source["incast_frames"])
    interval = senders * frames / float(source["rate_pps"]) * 1e9
    bursts = np.arange(start_ns, end_ns, interval)
    begins = bursts[:, None] + random.uniform(0, float(source["incast_jitter_us"]) * 1e3 + 1e-9, (bursts.size, senders))
    times: Times = np.sort(np.repeat(begins.ravel(), frames))
    return times[times < end_ns]
