"""What the host's CPUs counted in their receive path: /proc/net/softnet_stat, which knows no namespace."""

from __future__ import annotations

from pathlib import Path

SOURCE = "/proc/net/softnet_stat, all CPUs and namespaces of the host"
_WRAPS_AT = 2**32  # each CPU's counter, and so the gain of their sum
_COLUMNS = {"softnet_processed": 0, "softnet_dropped": 1, "time_squeeze": 2}


def read(path: Path = Path("/proc/net/softnet_stat")) -> dict[str, int]:
    """The sums over the CPUs."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return {name: sum(int(row[column], 16) for row in rows) for name, column in _COLUMNS.items()}


def gained(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What came between two readings, less than 2^32 of each."""
    return {name: (after[name] - count) % _WRAPS_AT for name, count in before.items()}
