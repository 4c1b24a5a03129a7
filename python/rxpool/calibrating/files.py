"""Calibration files as Python reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rxpool.errors import InputError

Document = dict[str, Any]


def read(path: Path) -> Document:
    """A calibration file. Raises :class:`InputError`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("steps"), dict):
        raise InputError(f"{path}: must be a calibration: an object with steps")
    return document
