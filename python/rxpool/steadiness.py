"""Whether a run that claims a steady state was in one; what is not steady is said, never averaged away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rxpool.record import Replication
from rxpool.statistics import mser5

WATCHED = ("held", "inflight", "rx_packets", "socket_queue")
"""Series that have to settle; a metric's name as in the table of metrics."""

SHORTEST = 50
"""Samples below which a series says nothing."""


def steadiness_warnings(resolved: dict[str, Any], replications: tuple[Replication, ...]) -> Iterator[str]:
    """One sentence per series of the first replication that never settled, or settled only after the warm-up.

    Only for scenarios with ``"analysis": "steady"`` and ``record.every_us``; MSER-5 over the samples after the warm-up.
    """
    if resolved.get("analysis") != "steady":
        return
    if not replications[0].series:
        yield "steady state is claimed but not checked: record.every_us is 0"
    cut_ns = resolved.get("warmup_ms", 0) * 1e6
    for series in replications[0].series:
        kept = series.time_ns > cut_ns
        values = series.value[kept]
        if series.metric not in WATCHED or len(values) < SHORTEST:
            continue
        found = mser5(values)
        name = f"{series.component}.{series.metric}"
        if not found.steady:
            yield f"not steady: {name} has not settled by the end; run longer, or call the analysis transient"
        elif found.cut > len(values) // 10:
            settled_ms = series.time_ns[kept][found.cut] / 1e6
            yield f"warm-up too short: {name} settles at {settled_ms:.3g} ms; set warmup_ms to that"
