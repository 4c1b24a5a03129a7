"""Calibration files: what got slower from one to another."""

from __future__ import annotations

from rxpool.calibrating.differing import Change, differences

__all__ = ["Change", "differences"]
