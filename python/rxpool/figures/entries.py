"""One published number with its machine, era, conditions and role, and the file that holds many of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from rxpool.errors import InputError
from rxpool.figures.paths import PATHS, find_path

ROLES = ("fit", "check", "input")
"""``fit`` may be used by calibrate, ``check`` must follow, ``input`` is a step measured on its own."""

NICS = ("mlx5", "i40e", "mlx4", "ixgbe")

_TEXTS = ("id", "machine", "era", "path", "metric", "unit", "role", "source")


@dataclass(frozen=True)
class Figure:
    """One published number. ``path`` is a key of :data:`rxpool.figures.paths.PATHS`, empty where none is known."""

    id: str
    machine: str
    nic: str
    era: str
    path: str
    conditions: Mapping[str, Any]
    metric: str
    value: float
    unit: str
    role: str
    source: str

    @property
    def group(self) -> str:
        """Machine and NIC: what shares a calibration."""
        return f"{self.machine} {self.nic}"

    @property
    def retpoline(self) -> bool:
        """Whether indirect calls went through retpolines."""
        return "retpoline on" in self.era


def shipped_figures() -> Path:
    """The project's own file."""
    from rxpool.shipped import shipped_folder

    return Path(shipped_folder()) / "calibration" / "figures.json"


def read_figures(source: str | PathLike[str]) -> list[Figure]:
    """Reads a figures file. Raises :class:`InputError` with the entry's place.

    ``nic`` may be left out where ``machine`` names it, and ``path`` may be a sentence; both are then recognised.
    """
    file = Path(source)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{file}: not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("schema") != 1 or not isinstance(document.get("entries"), list):
        raise InputError(f"{file}: must be an object with schema 1 and a list of entries")
    figures = [_figure(entry, f"{file}: entries[{place}]") for place, entry in enumerate(document["entries"])]
    seen: set[str] = set()
    for figure in figures:
        if figure.id in seen:
            raise InputError(f"{file}: {figure.id} stands in it twice")
        seen.add(figure.id)
    return figures


def _figure(entry: Any, place: str) -> Figure:
    if not isinstance(entry, dict):
        raise InputError(f"{place}: must be an object")
    texts: dict[str, str] = {}
    for key in _TEXTS:
        value = entry.get(key)
        if not isinstance(value, str) or not value:
            raise InputError(f"{place}.{key}: must be a text")
        texts[key] = value
    value = entry.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{place}.value: must be a number")
    conditions = entry.get("conditions", {})
    if not isinstance(conditions, dict):
        raise InputError(f"{place}.conditions: must be an object")
    if texts["role"] not in ROLES:
        raise InputError(f"{place}.role: {texts['role']!r} must be one of {', '.join(ROLES)}")
    machine = texts["machine"]
    nic = entry.get("nic") or next((name for name in NICS if name in machine), "mlx5")
    if nic not in NICS:
        raise InputError(f"{place}.nic: {nic!r} must be one of {', '.join(NICS)}")
    path = texts["path"] if texts["path"] in PATHS else find_path(texts["path"])
    texts |= {"machine": machine.split(",")[0].split(" ")[0] or machine, "path": path}
    return Figure(nic=nic, conditions=conditions, value=float(value), **texts)
