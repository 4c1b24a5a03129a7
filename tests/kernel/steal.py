"""Tests against the clock on a machine whose CPUs a hypervisor may give to others."""

from __future__ import annotations

import functools
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

P = ParamSpec("P")
_STOLEN = 8  # column of /proc/stat: cpu user nice system idle iowait irq softirq steal


def cpu_ticks() -> tuple[int, int]:
    """Ticks of 10 ms since boot, all CPUs together: in all, and stolen."""
    with Path("/proc/stat").open() as file:
        columns = [int(text) for text in file.readline().split()[1 : _STOLEN + 1]]
    return sum(columns), columns[-1]


def undisturbed(attempts: int = 5, percent: float = 0) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """A test that fails only if it fails while the hypervisor took at most this much of the CPUs' time.

    It runs again after a failure in which more was stolen; if that happened every time it is skipped and says why. Load
    by other processes of this machine excuses nothing: the kernel counts it elsewhere.
    """

    def decorate(test: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(test)
        def judged(*arguments: P.args, **named: P.kwargs) -> None:
            shares = []
            for _ in range(attempts):
                total, stolen = cpu_ticks()
                try:
                    return test(*arguments, **named)
                except AssertionError as error:
                    total_after, stolen_after = cpu_ticks()
                    share = 100 * (stolen_after - stolen) / max(1, total_after - total)
                    if share <= percent:
                        raise
                    shares.append(f"{share:.1f}")
                    told = str(error).partition("\n")[0]
            raise unittest.SkipTest(f"the hypervisor took {', '.join(shares)} % of the CPUs in {attempts} runs: {told}")

        return judged

    return decorate
