"""Settings and scenarios shared by the Python tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Timing belongs to benchmarks, not to a machine that builds something else beside; examples are the same every time.
settings.register_profile("rxpool", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("rxpool")

# A shell starts background jobs with SIGINT ignored, and children inherit that: tests that send it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[2]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """A host with one queue and an open-loop source, a millisecond long."""
    return {
        "duration_ms": 1,
        "warmup_ms": 0.2,
        "cpus": {"cpu0": {}, "cpu1": {}},
        "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
        "sockets": {"service": {"port": 4000, "cpu": "cpu1"}},
        "traffic": {
            "load": {
                "nic": "nic0",
                "kind": "poisson",
                "rate_pps": 500_000,
                "flows": {"count": 100, "destination_ports": "4000"},
            }
        },
        "record": {"every_us": 100},
        "headline": {"component": "nics.nic0.rx_queues.rx0", "metric": "held_max", "unit": "pages"},
    }


@pytest.fixture
def small_file(tmp_path: Path, small: dict[str, Any]) -> Path:
    """That scenario as a file."""
    path = tmp_path / "small.json"
    path.write_text(json.dumps(small))
    return path


@pytest.fixture
def rxpool_command(tmp_path: Path) -> Command:
    """Runs the command in a folder of its own and returns what it printed."""

    def run(*arguments: object, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rxpool", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
