"""What a process must be allowed for the kernel backend, and what this one lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

from rxpool.errors import ExitCode, InputError

_CAPABILITIES = {
    12: ("CAP_NET_ADMIN", "makes the veth pair and attaches XDP programs"),
    21: ("CAP_SYS_ADMIN", "makes the lab's network and mount namespaces"),
    38: ("CAP_PERFMON", "reads the page_pool's counters and attaches tracepoints"),
    39: ("CAP_BPF", "loads BPF programs and maps"),
}
"""Capability by its number in the kernel, and what it is for."""


def missing() -> list[str]:
    """What this process lacks, each with what it is for; empty if the lab can run."""
    held = _effective()
    lacks = [f"{name} ({purpose})" for bit, (name, purpose) in _CAPABILITIES.items() if not held >> bit & 1]
    if not Path("/sys/kernel/btf/vmlinux").exists():
        lacks.append("/sys/kernel/btf/vmlinux (the probes find the kernel's structs by it)")
    if shutil.which("ip") is None:
        lacks.append("ip of iproute2 (sets up the veth pair)")
    return lacks


def demand(purpose: str) -> None:
    """Raises :class:`InputError` with exit code 3 that names what is missing for ``purpose``."""
    lacks = missing()
    if lacks:
        raise InputError(f"{purpose}: missing {', '.join(lacks)}", ExitCode.NOT_AVAILABLE)


def _effective() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
