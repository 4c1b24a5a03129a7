"""The egress meter on a host: what a slow consumer holds is shed at RX, a quick one beside it loses nothing."""

from __future__ import annotations

from typing import Any

import pytest

import rxpool

QUEUE = "nics.nic0.rx_queues.rx0"


def host(policy: Any) -> dict[str, Any]:
    def source(port: int, rate_pps: float) -> dict[str, Any]:
        return {
            "nic": "nic0",
            "kind": "poisson",
            "rate_pps": rate_pps,
            "flows": {"count": 100, "destination_ports": str(port)},
        }

    return {
        "duration_ms": 200,
        "warmup_ms": 100,
        "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}},
        "kernel": {"rmem_max": 67_108_864},
        "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
        "sockets": {
            "slow": {"port": 4000, "cpu": "cpu1", "rcvbuf": 67_108_864, "reader": {"rate_pps": 50_000}},
            # Room for what moderation at its longest brings at once.
            "quick": {"port": 5000, "cpu": "cpu2", "rcvbuf": 1_048_576},
        },
        "traffic": {"slow": source(4000, 200_000), "quick": source(5000, 100_000)},
        "policies": {"nic0": policy},
    }


def test_a_slow_consumer_holds_no_more_than_it_works_off_within_the_target() -> None:
    metered = {"program": "egress_meter", "params": {"target_us": 5000, "least": 16}}
    results = [rxpool.run(host(policy)) for policy in ("pass", metered)]
    held = [result.values(QUEUE, "held_max")[0] for result in results]
    slow = [result.values("sockets.slow", "UdpInDatagrams")[0] for result in results]
    quick = [result.values("sockets.quick", "UdpInDatagrams")[0] for result in results]
    assert held[0] > 20_000
    # 50,000 packets/s for 5 ms, what the readers have in hand, and the lists on the way home.
    assert held[1] < 700
    assert slow[1] > 0.97 * slow[0]
    # Packets at the edges of the run aside.
    assert quick[1] == pytest.approx(quick[0], rel=0.005)
