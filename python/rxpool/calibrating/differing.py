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
"""Relative change from which a number counts as changed, unless its own standard error is larger."""


@dataclass(frozen=True)
class Change:
    """One number that differs by more than its uncertainty."""

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

    A change within two standard errors of either fit is none. Raises :class:`InputError`.
    """
    first, second = _whole(_find(before)), _whole(_find(after))
    changes = []
    for place, (old, per, old_error) in first.items():
        if place not in second:
            continue
        new, _, new_error = second[place]
        allowed = max(NOTICED * abs(old), 2 * (old_error**2 + new_error**2) ** 0.5)
        if abs(new - old) > allowed:
            changes.append(Change(place, per, old, new))
    return sorted(changes, key=lambda c: c.before - c.after)


def _find(name: str) -> Path:
    path = Path(name)
    if path.suffix == ".json":
        return path
    return Path(shipped_folder()) / "calibration" / f"{name}.json"


Numbers = dict[str, tuple[float, str, float]]


def _whole(path: Path) -> Numbers:
    """Place to value, what it is for, and standard error, the base's numbers included."""
    document = files.read(path)
    numbers: Numbers = {}
    if "base" in document:
        numbers = _whole(path.parent / f"{document['base']}.json")
    errors = _relative_errors(document)
    for place, entry, key in _entries(document):
        value = entry[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{path}: {place} is no number")
        numbers[place] = (float(value), str(entry.get("per", "")), abs(float(value)) * errors.get(place, 0.0))
    return numbers


def _entries(document: files.Document) -> Iterator[tuple[str, dict[str, Any], str]]:
    for section in ("steps", "pcie", "idle"):
        for name, entry in document.get(section, {}).items():
            if name == "gbytes_per_s":
                continue  # a rate: more is faster
            for key in ("ns", "value", "exit_ns"):
                if key in entry:
                    yield f"{section}.{name}", entry, key


def _relative_errors(document: files.Document) -> dict[str, float]:
    found = document.get("fit", {}).get("parameters", {})
    return {place: p["standard_error"] / p["factor"] for p in found.values() for place in p["numbers"]}
