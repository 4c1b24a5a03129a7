"""Ctrl-C that cannot get lost.

Python drops a :class:`KeyboardInterrupt` that is raised inside a destructor or a library's callback. The command
therefore remembers that the signal came, and asks between replications.
"""

from __future__ import annotations

import signal
from types import FrameType

_came = False


def remember_interrupts() -> None:
    """From here on SIGINT raises KeyboardInterrupt as usual, and is remembered."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


def raise_if_interrupted() -> None:
    """Raises KeyboardInterrupt when a signal came, whoever swallowed the first one."""
    if _came:
        raise KeyboardInterrupt


def _remember(signum: int, frame: FrameType | None) -> None:
    global _came
    _came = True
    raise KeyboardInterrupt
