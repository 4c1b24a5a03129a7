"""What a process must be allowed for the kernel backend, and what this one lacks."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from rxpool.errors import ExitCode, InputError

_NUMBERS = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
"""Capabilities by their number in the kernel."""

_BTF = "/sys/kernel/btf/vmlinux"

_PROBES = {
    "CAP_PERFMON": "reads the page_pool's counters and attaches tracepoints",
    "CAP_BPF": "loads BPF programs and maps",
    _BTF: "the probes find the kernel's structs by it",
}
LAB: Mapping[str, str] = {
    "CAP_NET_ADMIN": "makes the veth pair and attaches XDP programs",
    "CAP_SYS_ADMIN": "makes the lab's network and mount namespaces",
    **_PROBES,
    "ip": "of iproute2, sets up the veth pair",
}
"""What the lab needs, each with what it is for."""

ATTACH: Mapping[str, str] = {"CAP_NET_ADMIN": "sets queues and rings and attaches XDP programs", **_PROBES}
"""What an attached NIC needs."""

RECORD: Mapping[str, str] = {"CAP_SYS_ADMIN": "mounts and reads tracefs", "unshare": "of util-linux, hides that mount"}
"""What a recording needs."""


def missing(needs: Mapping[str, str] = LAB) -> list[str]:
    """What this process lacks, each with what it is for; empty if it can go on."""
    return [f"{name} ({purpose})" for name, purpose in needs.items() if not _there(name)]


def demand(purpose: str, needs: Mapping[str, str]) -> None:
    """Raises :class:`InputError` with exit code 3 that names what is missing for ``purpose``."""
    lacks = missing(needs)
    if lacks:
        raise InputError(f"{purpose}: missing {', '.join(lacks)}", ExitCode.NOT_AVAILABLE)


def _there(name: str) -> bool:
    if name in _NUMBERS:
        return bool(_effective() >> _NUMBERS[name] & 1)
    return Path(name).exists() if name.startswith("/") else shutil.which(name) is not None


def _effective() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
