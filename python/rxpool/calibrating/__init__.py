"""Fitting a machine's prices to published figures, and comparing two calibrations."""

from __future__ import annotations

from rxpool.calibrating.differing import Change, differences
from rxpool.calibrating.fitting import Fit, calibrate

__all__ = ["Change", "Fit", "calibrate", "differences"]
