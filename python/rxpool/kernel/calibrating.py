"""A calibration of this host: the steps that short real runs can price, the others from a shipped file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rxpool.errors import ExitCode, InputError
from rxpool.files import write_atomic
from rxpool.kernel.needs import LAB, demand
from rxpool.kernel.steps import Price, prices
from rxpool.shipped import shipped_folder

BASE = "m1-mlx5"
"""The calibration that gives what this host's runs cannot."""


@dataclass(frozen=True)
class HostCalibration:
    """What was measured, and the calibration file it makes."""

    prices: tuple[Price, ...]
    document: Mapping[str, Any]

    def write(self, path: Path) -> None:
        """Writes the file, one step a line as the shipped ones have it."""
        write_atomic(path, _text(self.document).encode())


def calibrate_this_host(name: str = "this-host", repeats: int = 5) -> HostCalibration:
    """Prices what can be priced here, in about half a minute. Raises :class:`InputError` (exit 3) where nothing can."""
    demand("calibrate", LAB)
    base = json.loads((Path(shipped_folder()) / "calibration" / f"{BASE}.json").read_text())
    measured = tuple(prices(base["steps"], BASE, repeats))
    lost = [p.step for p in measured if not math.isfinite(p.ns) or (p.step == "bpf_instruction" and p.ns == 0)]
    if lost:
        raise InputError(
            f"calibrate --this-host: {', '.join(lost)} could not be told from what else this host does; "
            "run it again when the host is quieter",
            ExitCode.NOT_AVAILABLE,
        )
    steps = dict(base["steps"])
    for price in measured:
        note = f"{price.how}; {repeats} runs, quartiles {price.low:.4g} to {price.high:.4g}"
        changed = {"ns": _short(price.ns), "figure": "measured", "note": note}
        if price.ns_per_byte is not None:
            changed["ns_per_byte"] = _short(price.ns_per_byte)
        steps[price.step] = {"per": steps[price.step]["per"]} | changed
    day = datetime.now(UTC).date().isoformat()
    head = {
        "schema": base["schema"],
        "name": name,
        "machine": f"{_processor()}, {os.cpu_count()} CPUs, veth",
        "era": os.uname().release,
        "drivers": ["veth"],
        "provisional": True,
        "mixes_eras": f"the steps with figure measured are this host's, everything else is that of {BASE}",
        "note": f"Measured on {day} by rxpool calibrate --this-host in a veth lab; no NIC.",
    }
    rest = {key: value for key, value in base.items() if key not in head and key not in ("steps", "fit")}
    return HostCalibration(measured, head | {"steps": steps} | rest)


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine


def _text(document: Mapping[str, Any]) -> str:
    """JSON with one line for each member of a member, as the shipped calibrations are written."""
    parts = []
    for key, value in document.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items())
            parts.append(f"  {json.dumps(key)}: {{\n{inner}\n  }}")
        else:
            parts.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
