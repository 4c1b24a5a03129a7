"""Progress on stderr, only where stderr is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rxpool.console import message
from rxpool.plain import printable
from rxpool.record import Replication
from rxpool.store import RunFolder
from rxpool.study import Watcher

if TYPE_CHECKING:
    from rich.progress import Progress


class QuietWatcher(Watcher):
    """No terminal: says only that it waits for somebody."""

    def waiting(self, folder: RunFolder) -> None:
        """Says which folder another process writes."""
        message(f"{folder.path}: another process is writing this run; waiting for it")


class TerminalWatcher(QuietWatcher):
    """A bar over replications, with packets per second of wall time."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(printable(name), total=0, rate="")
        self._total = 0
        self._done = 0
        self._begin = time.monotonic()
        self._packets = 0

    def announced(self, replications: int) -> None:
        """Makes room on the bar, unless what was announced before covers it."""
        self._total = max(self._total, self._done + replications)
        self._progress.update(self._task, total=self._total)

    def planned(self, replications: int, kept: int) -> None:
        """Takes what is finished already off the bar: it says nothing about the time left."""
        self._total -= kept
        self._progress.update(self._task, total=self._total)

    def moving(self, simulated_ms: float, total_ms: float, offered_packets: int) -> bool:
        """Moves the bar inside a replication."""
        part = simulated_ms / total_ms if total_ms else 0.0
        self._show(self._done + min(part, 1.0), self._packets + offered_packets)
        return True

    def finished(self, replication: Replication) -> None:
        """Moves the bar by one replication."""
        self._done += 1
        self._packets += replication.offered_packets
        self._show(self._done, self._packets)

    def _show(self, done: float, packets: int) -> None:
        seconds = max(time.monotonic() - self._begin, 1e-9)
        self._progress.update(self._task, completed=done, rate=f"{packets / seconds / 1e6:.1f} M packets/s")


@contextmanager
def watching(name: str) -> Iterator[Watcher]:
    """The watcher for this stderr: a bar on a terminal, nothing on a pipe."""
    if not sys.stderr.isatty():
        yield QuietWatcher()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.1f}/{task.total:.0f}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield TerminalWatcher(progress, name)
