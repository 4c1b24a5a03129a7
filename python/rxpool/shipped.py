"""What comes with rxpool."""

from __future__ import annotations

from pathlib import Path


def shipped_folder() -> str:
    """The folder of the shipped scenarios, calibrations and policies: in the installed package, or in the checkout."""
    package = Path(__file__).parent
    installed = package / "scenarios"
    return str(installed if installed.is_dir() else package.parents[1] / "scenarios")
