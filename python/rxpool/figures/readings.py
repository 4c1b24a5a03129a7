"""How a figure's metric is read off a result."""

from __future__ import annotations

from collections.abc import Callable

from rxpool.record import Replication

LLC_READS_PER_PACKET = 5.18
"""Reads that reach the LLC, all data included (CM-5): what perf's miss rate is a share of."""


def read(metric: str, replication: Replication) -> float | None:
    """The number in the figure's unit; None where this run has nothing of that name."""
    reading = READINGS.get(metric)
    return None if reading is None else reading(replication)


def _sum(replication: Replication, *metrics: str) -> float:
    return sum(v for (_, m), v in replication.named.items() if m in metrics)


def _rate(*metrics: str) -> Callable[[Replication], float]:
    """Events per second, over all components."""
    return lambda r: _sum(r, *metrics) / (r.simulated_ms / 1e3)


def _ratio(part: str, whole: str, factor: float = 1.0) -> Callable[[Replication], float | None]:
    def reading(replication: Replication) -> float | None:
        total = _sum(replication, whole)
        return factor * _sum(replication, part) / total if total else None

    return reading


def _stored_pps(replication: Replication) -> float:
    """Frames that found room in the NIC (mlx5 rx_prio0_packets)."""
    return (_sum(replication, "rx_packets_phy") - _sum(replication, "rx_discards_phy")) / (
        replication.simulated_ms / 1e3
    )


def _enqueued_pps(replication: Replication) -> float:
    """Frames that an RX CPU handed to a cpumap, those that found its ring full included: what it could do."""
    return _sum(replication, "xdp_cpumap_enqueue_processed") / (replication.simulated_ms / 1e3)


def _busy_ns_per_packet(replication: Replication) -> float | None:
    """CPU time of all CPUs over all packets that the driver saw."""
    packets = _sum(replication, "rx_packets")
    busy_percent = sum(v for (_, m), v in replication.named.items() if m == "busy")
    return busy_percent / 100 * replication.simulated_ms * 1e6 / packets if packets else None


def ns_per_packet(replication: Replication) -> float | None:
    """What one packet takes on a saturated CPU: CPUs times time over packets that the drivers saw."""
    packets = _sum(replication, "rx_packets")
    busy = [v for (_, m), v in replication.named.items() if m == "busy" and v > 1]
    return len(busy) * replication.simulated_ms * 1e6 / packets if packets else None


def _latency_us(replication: Replication) -> float | None:
    """Round trip as far as this host adds to it: from the last bit received to the last bit sent."""
    values = [v for (_, m), v in replication.named.items() if m == "tx_latency_mean"]
    return max(values) / 1e3 if values else None


READINGS: dict[str, Callable[[Replication], float | None]] = {
    "rx_xdp_drop": _rate("xdp_drop"),
    "xdp_drop": _rate("xdp_drop", "xdp_cpumap_kthread_xdp_drop"),
    "enqueued": _enqueued_pps,
    "pps": lambda r: max(_rate("xdp_drop")(r), _rate("tx_packets")(r)),
    "rx_packets_phy": _rate("rx_packets_phy"),
    "rx_discards_phy": _rate("rx_discards_phy"),
    "rx_prio0_packets": _stored_pps,
    "rx_out_of_buffer": _rate("rx_out_of_buffer", "port_rx_dropped", "rx_no_dma_resources"),
    "packets_per_poll": _ratio("rx_packets", "polls"),
    "tx_packets": _rate("tx_packets"),
    "dropped": _rate("netfilter_drop", "xdp_drop"),
    "udp_no_ports": _rate("UdpNoPorts"),
    "received": _rate("UdpInDatagrams"),
    "llc_miss_percent": _ratio("llc_read_misses", "rx_packets", 100 / LLC_READS_PER_PACKET),
    "busy_ns_per_packet": _busy_ns_per_packet,
    "ns_per_packet": ns_per_packet,
    "latency_avg": _latency_us,
}
