"""From a figure's machine, era and conditions to the scenario that stands for it.

One host for all: as many CPUs as RX queues (one more for an application on its own CPU), one NIC with the driver's
fixed interrupt moderation (what XP-25 shows; adaptive moderation would take far fewer interrupts), constant traffic
over many flows. A figure without an offered rate was taken in overload: then the wire is full.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxpool.errors import InputError
from rxpool.figures.entries import Figure
from rxpool.figures.paths import Path

CALIBRATIONS = {"mlx5": "m1-mlx5", "i40e": "m1-i40e", "ixgbe": "m1-i40e", "mlx4": "m1-mlx4"}
"""The calibration of each NIC that has one; the others run with the first."""

LINK_GBPS = {"mlx5": 100.0, "i40e": 40.0, "mlx4": 40.0, "ixgbe": 10.0}

_RELEASES = ((4, 5), (4, 17), (4, 19), (5, 1), (5, 4), (5, 8), (5, 10), (5, 15), (6, 1), (6, 6), (6, 12), (6, 18))
_KNOWN = frozenset(
    {
        "cqe_compress",
        "frame_bytes",
        "gro",
        "link_gbps",
        "offered_mpps",
        "qsize",
        "rate_per_queue_mpps",
        "ring",
        "rx_queues",
        "tx_ring",
    }
)
_PREAMBLE_AND_GAP = 20  # bytes
_POLLED_MS = 2.0
_SCHEDULED_MS = 60.0  # a reader competes with ksoftirqd: many of the scheduler's slices
_PACKETS = 60_000
"""Packets that are counted, at least: enough that the rate of a saturated queue is exact to a thousandth."""


def scenario(figure: Figure, path: Path, calibration: str | None = None) -> dict[str, Any]:
    """The scenario. Raises :class:`InputError` where a condition means nothing here."""
    conditions = {**path.conditions, **figure.conditions}
    strange = sorted(set(conditions) - _KNOWN)
    if strange:
        raise InputError(f"condition {', '.join(strange)} is not modelled")
    queues = int(conditions.get("rx_queues", 1))
    rate = _offered_pps(conditions, figure.nic, queues)
    cpus: dict[str, Any] = {f"cpu{i}": {} for i in range(queues)}
    if path.socket_cpu and path.socket_cpu not in cpus:
        cpus[path.socket_cpu] = {}
    if path.remote:
        cpus["remote"] = {}
    nics = {"nic0": _nic(conditions, figure.nic, queues, path)}
    policies = {"nic0": path.policy}
    if path.remote:
        params = {"cpu": "remote", "qsize": int(conditions.get("qsize", 192)), "remote_action": path.remote}
        policies["nic0"] = {"program": "redirect", "params": params}
    elif path.policy == "redirect":
        target = "nic1" if path.second_nic else "nic0"
        policies["nic0"] = {"program": "redirect", "params": {"to": target}}
    if path.second_nic:
        nics["nic1"] = _nic(conditions, figure.nic, queues, path)
        policies["nic1"] = "pass"
    return {
        "calibration": calibration or calibration_name(figure.nic),
        "kernel": {"release": release(figure.era), "retpoline": figure.retpoline},
        **_times(rate, _SCHEDULED_MS if path.socket_cpu else _POLLED_MS),
        "memory": {"allocator_cost": not path.free_pages},
        "cpus": cpus,
        "nics": nics,
        "policies": policies,
        "sockets": {"app": {"port": 9, "cpu": path.socket_cpu}} if path.socket_cpu else {},
        "traffic": {
            "load": {
                "nic": "nic0",
                "kind": "constant",
                "rate_pps": rate,
                "sizes": int(conditions.get("frame_bytes", 64)),
                "flows": {"count": 16384},
            }
        },
        "record": {"per_step": True},
    }


def calibration_name(nic: str) -> str:
    """The calibration that a NIC's figures are run with."""
    return CALIBRATIONS.get(nic, "m1-mlx5")


def release(era: str) -> str:
    """The newest release the simulator knows that is not newer than the era's; its oldest for older ones."""
    head = era.partition(",")[0].partition("-")[0].split(".")
    try:
        wanted = (int(head[0]), int(head[1]))
    except (ValueError, IndexError):
        wanted = _RELEASES[0]
    known = [r for r in _RELEASES if r <= wanted] or [_RELEASES[0]]
    return f"{known[-1][0]}.{known[-1][1]}"


def _nic(conditions: Mapping[str, Any], driver: str, queues: int, path: Path) -> dict[str, Any]:
    nic: dict[str, Any] = {
        "driver": driver,
        "link_gbps": float(conditions.get("link_gbps", LINK_GBPS[driver])),
        "gro": bool(conditions.get("gro", True)),
        "adaptive_rx": False,
        "netfilter": dict(path.netfilter),
        "rx_queues": {f"rx{i}": {"cpu": f"cpu{i}"} for i in range(queues)},
    }
    if "ring" in conditions:
        nic["rx_ring"] = int(conditions["ring"])
    if "tx_ring" in conditions:
        nic["tx_ring"] = int(conditions["tx_ring"])
    if conditions.get("cqe_compress"):
        nic["pcie"] = {"cqe_compress": True}
    return nic


def _offered_pps(conditions: Mapping[str, Any], driver: str, queues: int) -> float:
    if "offered_mpps" in conditions:
        return float(conditions["offered_mpps"]) * 1e6
    if "rate_per_queue_mpps" in conditions:
        return float(conditions["rate_per_queue_mpps"]) * 1e6 * queues
    gbps = float(conditions.get("link_gbps", LINK_GBPS[driver]))
    wire_bytes = int(conditions.get("frame_bytes", 64)) + _PREAMBLE_AND_GAP
    return round(gbps * 1e9 / 8 / wire_bytes)


def _times(rate_pps: float, shortest_ms: float) -> dict[str, float]:
    """Long enough for so many packets; a slow source takes its time for moderation and idle governor to settle."""
    counted_ms = min(2000.0, max(shortest_ms, 1e3 * _PACKETS / rate_pps))
    return {"warmup_ms": max(1.0, counted_ms / 2), "duration_ms": counted_ms}
