"""Published figures: what was measured where, which scenario stands for it, and what the simulator says."""

from __future__ import annotations

from rxpool.figures.entries import Figure, read_figures
from rxpool.figures.validating import Outcome, validate_figures

__all__ = ["Figure", "Outcome", "read_figures", "validate_figures"]
