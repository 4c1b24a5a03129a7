"""Where the CPU time of a run went: nanoseconds per packet by context and step, and beside a published profile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rxpool.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from rxpool.result import Result

_STEP = re.compile(r"^(cpus\.[^.]+)\.steps\.([^.]+)\.(.+)$")

PUBLISHED_LOOP = {
    "program and map lookup": (9.6, ("xdp_program",)),
    "completion read and handled": (13.7, ("rx_descriptor",)),
    "XDP hook": (4.5, ("xdp_call",)),
    "first read and frame set up": (7.5, ("packet_touch", "llc_miss", "llc_read_miss")),
    "refill and page recycling": (12.1, ("refill_descriptor", "refill_bulk", "doorbell", "page_memory")),
    "DMA sync": (2.3, ("dma_sync",)),
    "poll loop": (0.5, ("softirq_entry", "napi_poll")),
}
"""XP-32: perf's shares of XDP_DROP with a header read, mlx5, one saturated CPU, as nanoseconds per packet; the steps of
the model that do the same work."""


def profile(result: Result) -> pd.DataFrame:
    """Nanoseconds per packet that the drivers saw, and share of all CPU time, by context and step; dearest first.

    Mean over the replications. The scenario has to keep steps (``record.per_step``); raises :class:`InputError`.
    """
    import pandas as pd

    rows: dict[tuple[str, str], float] = {}
    packets = 0.0
    for replication in result.replications:
        for (component, metric), value in replication.named.items():
            if metric == "rx_packets":
                packets += value
            elif metric == "step_time" and value > 0 and (match := _STEP.match(component)):
                key = (match[2], match[3])
                rows[key] = rows.get(key, 0.0) + value / 1e3
    if not rows:
        raise InputError(f"{result.scenario.name}: this run kept no steps; set record.per_step=true")
    total = sum(rows.values())
    frame = pd.DataFrame(
        [
            {"context": context, "step": step, "ns_per_packet": ns / packets, "share": ns / total}
            for (context, step), ns in rows.items()
        ]
    )
    return frame.sort_values("ns_per_packet", ascending=False, ignore_index=True)


def beside_published(result: Result) -> pd.DataFrame:
    """The receive loop of a run beside XP-32: published and simulated nanoseconds per packet by part of the loop."""
    import pandas as pd

    by_step = profile(result).groupby("step")["ns_per_packet"].sum()
    return pd.DataFrame(
        [
            {
                "part": part,
                "published": published,
                "simulated": float(sum(by_step.get(step, 0.0) for step in steps)),
                "steps": " ".join(steps),
            }
            for part, (published, steps) in PUBLISHED_LOOP.items()
        ]
    )
