"""Figures of single steps: loops over the memory models, and numbers that a calibration file simply holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rxpool.figures.entries import Figure


def step_ns(figure: Figure, calibration: Path) -> float | None:
    """What the step costs under a calibration file; None where the figure is not about a step of the model."""
    from rxpool import _core

    file = str(calibration)
    if figure.path == "page_bulk":
        return _core.memory_loop_ns(file, "page_bulk", int(figure.conditions.get("bulk", 1)))
    if figure.path == "page_pool_pair":
        return _core.memory_loop_ns(file, str(figure.conditions.get("case", "fast_path")))
    place = _HELD.get(figure.path)
    return place(json.loads(calibration.read_text(encoding="utf-8"))) if place else None


_HELD: dict[str, Callable[[dict[str, dict[str, dict[str, float]]]], float]] = {
    "llc_hit": lambda file: file["steps"]["llc_hit"]["ns"],
    "call": lambda file: file["steps"]["bpf_helper"]["ns"],
}
"""Paths whose number stands in the file as it is."""

PATHS = frozenset({"page_bulk", "page_pool_pair", *_HELD})
"""The paths that need no scenario."""
