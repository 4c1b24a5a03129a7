"""``rxpool calibrate --diff``: what got slower from one calibration to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rxpool.calibrating import files
from rxpool.errors import InputError
from rxpool.shipped import shipped_folder

NOTICED = 0.01
"""Relative change from which a number counts as changed."""


@dataclass(frozen=True)
class Change:
    """One number that differs."""

    place: str
    per: str
    before: float
    after: float

    @property
    def slower(self) -> bool:
        """Whether it costs more now."""
        return self.after > self.before

    @property
    def by(self) -> float:
        """The change as a share of what it was."""
        return self.after / self.before - 1 if self.before else float("inf")


def differences(before: str, after: str) -> list[Change]:
    """Numbers of two calibrations (names or files) that differ, what got slower most in nanoseconds first.

    Raises :class:`InputError`.
    """
    first, second = _whole(_find(before)), _whole(_find(after))
    changes = []
    for place, (old, per) in first.items():
        if place in second and abs(second[place][0] - old) > NOTICED * abs(old):
            changes.append(Change(place, per, old, second[place][0]))
    return sorted(changes, key=lambda c: c.before - c.after)


def _find(name: str) -> Path:
    path = Path(name)
    if path.suffix == ".json":
        return path
    return Path(shipped_folder()) / "calibration" / f"{name}.json"


def _whole(path: Path) -> dict[str, tuple[float, str]]:
    """Place to value and what it is for."""
    numbers: dict[str, tuple[float, str]] = {}
    for place, entry, key in _entries(files.read(path)):
        value = entry[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{path}: {place} is no number")
        numbers[place] = (float(value), str(entry.get("per", "")))
    return numbers


def _entries(document: files.Document) -> Iterator[tuple[str, dict[str, Any], str]]:
    for section in ("steps", "pcie", "idle"):
        for name, entry in document.get(section, {}).items():
            if name == "gbytes_per_s":
                continue  # a rate: more is faster
            for key in ("ns", "value", "exit_ns"):
                if key in entry:
                    yield f"{section}.{name}", entry, key
