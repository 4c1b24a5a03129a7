"""The two kinds of error, and the exit codes of the command (``sim/error.hpp``)."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the ``rxpool`` command."""

    DONE = 0
    DIFFERENCE = 1
    BAD_INPUT = 2
    NOT_AVAILABLE = 3
    POLICY_REJECTED = 4
    LIMIT = 5
    INTERNAL = 6
    INTERRUPTED = 130


class InputError(Exception):
    """What the user gave is wrong, missing or too large; the text is one line with place and remedy.

    ``code`` is the exit code the command gives for it.
    """

    def __init__(self, message: str, code: int = ExitCode.BAD_INPUT) -> None:
        super().__init__(message, int(code))

    @property
    def code(self) -> ExitCode:
        """Exit code of the command for this error."""
        return ExitCode(self.args[1])

    def __str__(self) -> str:
        return str(self.args[0])


class InternalError(Exception):
    """An invariant of rxpool itself broke (a ledger that does not close, for one); exit code 6."""

    code = ExitCode.INTERNAL
