"""Plain values for JSON, plain text for terminals."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from rxpool.errors import InputError


def finite(value: Any) -> Any:
    """The value with every number that is not finite replaced by None."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def printable(text: str) -> str:
    """The text with characters that would steer a terminal, or break the line, written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """``; the nearest is 'x'`` for the known name that looks most like this one; empty where there is none."""
    near = difflib.get_close_matches(name, list(dict.fromkeys(known)), 1, 0)
    return f"; the nearest is '{near[0]}'" if near else ""


Choice = TypeVar("Choice", bound=StrEnum)


def choice(kind: type[Choice], value: str, what: str) -> Choice:
    """The member of ``kind`` that a text names. Raises :class:`InputError`."""
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{what} {value}: use {', '.join(kind)}{nearest(str(value), kind)}") from None


def listed(names: Sequence[str], shown: int = 3) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
