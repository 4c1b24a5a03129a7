"""The ``rxpool`` command.

Data goes to stdout, progress and messages go to stderr. Commands import what they need when they run, so that the
short ones answer at once.
"""

from __future__ import annotations

from rxpool.cli import calibrate, pictures, policy, record, run, study, validate
from rxpool.cli.options import app

__all__ = ["app", "calibrate", "main", "pictures", "policy", "record", "run", "study", "validate"]


def main() -> int:
    """Runs the command and returns its exit code."""
    try:
        app(prog_name="rxpool")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0
