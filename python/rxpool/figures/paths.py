"""What happens to a packet in a measurement, and the scenario that stands for it.

A path is made of a program, netfilter rules and a socket; conditions of a figure (queues, ring, offered rate) are the
host's (:mod:`rxpool.figures.hosts`). No path knows a figure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Path:
    """One way through the host. ``words`` are regular expressions, all of which a description of it has to match;
    ``conditions`` hold where the figure does not say otherwise; ``remote`` is what a CPU behind a
    cpumap does, and ``free_pages`` switches the page allocator's cost off.

    ``against`` names the path without what is measured, for figures that are differences. ``missing`` says what the
    simulator would need and does not have.
    """

    words: tuple[str, ...]
    policy: Any = "none"
    netfilter: Mapping[str, Any] = field(default_factory=dict)
    socket_cpu: str = ""
    second_nic: bool = False
    conditions: Mapping[str, Any] = field(default_factory=dict)
    remote: str = ""
    free_pages: bool = False
    against: str = ""
    missing: str = ""


_COUNT_DROP = "rxq_count"
_READ_TX = {"program": "rxq_read", "params": {"verdict": 3}}
_COUNT_PASS = {"program": "rxq_count", "params": {"verdict": 2}}
# Jumps and rules that a packet for a closed port passes in firewalld's default zone: seven each in raw, mangle and nat
# PREROUTING, twelve in filter INPUT. The ICMP answer is rate-limited away.
_FIREWALLD_RULES = 33
_NO_POLL_MODE = "fitted prices of a poll-mode driver in user space"
_NO_IOMMU = "IOMMU page tables"


PATHS: dict[str, Path] = {
    "bus_cqe": Path((r"bus limit, cqe",), policy=_COUNT_DROP, conditions={"rx_queues": 6, "cqe_compress": True}),
    "bus_tx": Path(
        (r"xdp_tx", r"bus limit"), policy=_READ_TX, conditions={"rx_queues": 6, "ring": 256, "tx_ring": 256}
    ),
    "bus": Path((r"bus limit",), policy=_COUNT_DROP, conditions={"rx_queues": 6}),
    "cpumap_drop": Path((r"xdp_drop", r"remote cpu"), policy="redirect", remote="drop"),
    "cpumap_redirect": Path((r"redirect", r"from the remote cpu"), missing="redirection from a remote CPU to a device"),
    "cpumap_free": Path((r"skb build", r"bulk free"), missing="a remote CPU without its stack"),
    "cpumap_closed_port": Path((r"cpumap",), policy="redirect", remote="disabled"),
    "redirect_round_trip": Path((r"redirect", r"round trip"), policy="redirect", second_nic=True),
    "bridge_round_trip": Path((r"bridge", r"round trip"), missing="bridge"),
    "redirect_same_device": Path((r"redirect", r"same device"), policy="redirect"),
    "xdp_redirect": Path((r"redirect",), policy="redirect", second_nic=True),
    "xdp_tx": Path((r"xdp_tx",), policy=_READ_TX),
    "xdp_count_pass": Path((r"xdp_pass", r"raw"), policy=_COUNT_PASS, netfilter={"raw_drop": True}, against="raw_drop"),
    "xdp_drop_parse": Path((r"parse", r"drop"), policy="drop_udp_port"),
    "xdp_filter": Path((r"xdp filter",), policy="drop_udp_port"),
    "xdp_drop_read": Path((r"xdp_drop", r"read"), policy="rxq_read"),
    "xdp_drop": Path((r"xdp_drop|any overload",), policy=_COUNT_DROP),
    "firewalld_reject": Path(
        (r"firewalld",), netfilter={"conntrack": True, "filter_drop": True, "filter_rules": _FIREWALLD_RULES}
    ),
    "conntrack_drop": Path((r"conntrack",), netfilter={"conntrack": True, "filter_drop": True}),
    "filter_loaded": Path((r"empty iptables filter",), netfilter={"filter": True}, against="closed_port"),
    "filter_drop": Path((r"iptables filter",), netfilter={"filter_drop": True}),
    "raw_drop": Path((r"raw",), netfilter={"raw_drop": True}),
    "closed_port": Path((r"closed port|udpnoports",)),
    "udp_socket_local": Path((r"socket", r"on the rx cpu"), socket_cpu="cpu0"),
    "udp_socket": Path((r"recvmsg|socket",), socket_cpu="reader"),
    "driver_drop_free_pages": Path((r"without page-allocator",), policy="drop", free_pages=True),
    "driver_drop": Path((r"driver drop",), policy="drop"),
    "skb_drop": Path((r"skb drop",), netfilter={"raw_drop": True}),
    "page_pool_pair": Path((r"page_pool alloc",)),
    "page_bulk": Path((r"order-0 pages",)),
    "l2_hit": Path((r"l2 hit",), missing="private caches"),
    "llc_hit": Path((r"l3 hit",)),
    "retpoline_call": Path((r"indirect_retpoline",)),
    "call": Path((r"^call$",)),
    "iommu_packet": Path((r"iommu base",), missing=_NO_IOMMU),
    "iommu_read": Path((r"iommu per",), missing=_NO_IOMMU),
    "poll_forward": Path((r"ixy|l2 forwarding|pcie write miss",), missing=_NO_POLL_MODE),
}
"""In the order in which a description is tried on them."""


def find_path(description: str) -> str:
    """The path that a sentence describes; empty when none does."""
    text = description.lower()
    for name, path in PATHS.items():
        if all(re.search(word, text) for word in path.words):
            return name
    return ""
