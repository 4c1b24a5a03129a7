"""The bar of a study: announced once, never running away from what is done."""

from __future__ import annotations

import io

import pytest

from made_records import made_replication

rich_progress = pytest.importorskip("rich.progress")

from rich.console import Console  # noqa: E402

from rxpool.progress import TerminalWatcher  # noqa: E402


def bar() -> tuple[TerminalWatcher, rich_progress.Task]:
    progress = rich_progress.Progress(console=Console(file=io.StringIO()))
    watcher = TerminalWatcher(progress, "study")
    return watcher, progress.tasks[0]


def test_a_sweep_is_announced_whole_and_shrinks_by_what_is_kept() -> None:
    watcher, task = bar()
    watcher.announced(12)
    assert task.total == 12
    watcher.planned(4, 0)
    watcher.planned(4, 3)
    assert task.total == 9
    for index in range(9):
        watcher.finished(made_replication(index))
    assert task.completed == task.total


def test_the_runs_of_a_tuning_add_nothing_to_what_it_announced() -> None:
    watcher, task = bar()
    watcher.announced(6)
    for _ in range(3):
        watcher.announced(2)
        watcher.planned(2, 0)
        for index in range(2):
            watcher.finished(made_replication(index))
        assert task.total == 6
    assert task.completed == 6


def test_further_rounds_of_a_precision_add_what_is_new() -> None:
    watcher, task = bar()
    watcher.announced(10)
    watcher.planned(10, 0)
    for index in range(10):
        watcher.finished(made_replication(index))
    watcher.announced(15)
    watcher.planned(15, 10)
    assert task.total == 15
