"""Series agree with one another at every sample."""

from __future__ import annotations

from typing import Any

import rxpool


def test_inflight_is_cache_ring_posted_and_held_at_every_sample(small: dict[str, Any]) -> None:
    series = rxpool.run(small).series
    wide = series[series.component.str.startswith("nics.nic0.rx_queues.rx0")].pivot_table(
        index="time_ns", columns="metric", values="value"
    )
    assert (wide["inflight"] == wide["pool_cache"] + wide["pool_ring"] + wide["posted"] + wide["held"]).all()
    assert wide["inflight"].max() > 0
