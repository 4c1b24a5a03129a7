"""Calibration files as Python changes them: priors with their parameters, candidates during a fit, fitted files."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rxpool.errors import InputError

Document = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """A factor on some numbers of a file. The prior is 1; ``low`` and ``high`` are its bounds."""

    file: str
    name: str
    numbers: tuple[str, ...]
    low: float
    high: float
    reason: str

    @property
    def prior_deviation(self) -> float:
        """Standard deviation of the prior: a quarter of the distance of the bounds."""
        return (self.high - self.low) / 4


def read(path: Path) -> Document:
    """A calibration or priors file. Raises :class:`InputError`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("steps"), dict):
        raise InputError(f"{path}: must be a calibration: an object with steps")
    return document


def parameters(document: Document) -> list[Parameter]:
    """The parameters of a priors file, in the order of their names."""
    name = str(document["name"])
    found = [
        Parameter(name, key, tuple(p["numbers"]), float(p["low"]), float(p["high"]), str(p["reason"]))
        for key, p in sorted(document.get("parameters", {}).items())
    ]
    for parameter in found:
        for place in parameter.numbers:
            number(document, place)
    return found


def number(document: Document, place: str) -> tuple[dict[str, Any], str]:
    """The object that holds the number at a dotted place, and its key in it. Raises :class:`InputError`."""
    section, _, name = place.partition(".")
    entry = document.get(section, {}).get(name)
    if isinstance(entry, dict):
        for key in ("ns", "value", "exit_ns"):
            if key in entry:
                return entry, key
    raise InputError(f"{document.get('name')}: parameters: there is no number {place}")


def scaled(document: Document, factors: Mapping[str, float]) -> Document:
    """The calibration that a priors file and factors by parameter make, without its parameters."""
    made = copy.deepcopy(document)
    for parameter in parameters(document):
        for place in parameter.numbers:
            entry, key = number(made, place)
            entry[key] = round(entry[key] * factors[parameter.name], 4)
    made.pop("parameters", None)
    return made


def write(document: Document, path: Path) -> None:
    """One number a line, so that a change shows as one line."""
    path.write_text("{\n" + ",\n".join(_member(key, value) for key, value in document.items()) + "\n}\n")


def _member(key: str, value: Any) -> str:
    head = f"  {json.dumps(key)}: "
    if not isinstance(value, dict):
        return head + _line(value)
    inner = [f"    {json.dumps(name)}: {_nested(name, entry)}" for name, entry in value.items()]
    return head + "{\n" + ",\n".join(inner) + "\n  }"


def _nested(name: str, entry: Any) -> str:
    if name == "covariance":
        return "[\n" + ",\n".join("      " + _line(line) for line in entry) + "\n    ]"
    if name == "parameters":
        return "{\n" + ",\n".join(f"      {json.dumps(k)}: {_line(v)}" for k, v in entry.items()) + "\n    }"
    return _line(entry)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def all_parameters(documents: Sequence[Document]) -> list[Parameter]:
    """Of several priors files, file after file."""
    return [parameter for document in documents for parameter in parameters(document)]
