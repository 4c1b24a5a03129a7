"""How the points of a sweep are chosen; apart from ``sweeping`` so that the command line can list it at no cost."""

from __future__ import annotations

from enum import StrEnum


class Sampling(StrEnum):
    """How the points of a sweep are chosen."""

    GRID = "grid"
    RANDOM = "random"
    LHS = "lhs"
    SOBOL = "sobol"
