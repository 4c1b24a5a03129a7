"""Tuning: one process at a time, killed at any moment, on a full disk, on several workers."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import rxpool
from rxpool.errors import ExitCode, InputError
from rxpool.files import FolderLock
from rxpool.scenario import Scenario
from rxpool.store import Store
from rxpool.study import Watcher, run_stored
from rxpool.sweeping import Axis

pytest.importorskip("optuna")

AXES = [Axis.parse("nics.nic0.rx_ring=64,128,256,512")]


def tune(small: dict[str, Any], store: Path, trials: int, **options: Any) -> rxpool.Tuning:
    options = {"minimise": ["sum:posted"], **options}
    return rxpool.tune({**small, "duration_ms": 0.5}, AXES, trials=trials, store=Store(store), **options)


def test_a_second_process_on_one_study_is_refused(tmp_path: Path, small: dict[str, Any]) -> None:
    found = tune(small, tmp_path, 1)
    lock = FolderLock.take(Path(str(found.path)), wait=False)
    assert lock is not None
    with pytest.raises(InputError, match="another process works on this study"):
        tune(small, tmp_path, 2)
    lock.close()
    assert len(tune(small, tmp_path, 2).trials) == 2


def test_half_a_line_of_a_killed_process_is_dropped(tmp_path: Path, small: dict[str, Any]) -> None:
    found = tune(small, tmp_path, 2)
    with (Path(str(found.path)) / "journal.log").open("ab") as journal:
        journal.write(b'{"op_code":4,"worker_id"')
    again = tune(small, tmp_path, 3)
    assert [(t.number, t.run, t.point) for t in again.trials[:2]] == [(t.number, t.run, t.point) for t in found.trials]
    assert len(again.trials) == 3


def test_a_full_disk_is_exit_5(tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from optuna.storages.journal import JournalFileBackend

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(JournalFileBackend, "append_logs", full)
    with pytest.raises(InputError, match=r"journal\.log: No space left") as caught:
        tune(small, tmp_path, 1)
    assert caught.value.code == ExitCode.LIMIT


def test_several_points_are_tried_at_once_where_workers_are_free(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []

    def counted(scenarios: list[Scenario], *arguments: Any, **options: Any) -> list[rxpool.Result]:
        batches.append(len(scenarios))
        return run_stored(scenarios, *arguments, **options)

    monkeypatch.setattr("rxpool.tuning.run_stored", counted)
    assert len(tune(small, tmp_path, 5, jobs=2).trials) == 5
    assert batches == [2, 2, 1]
    batches.clear()
    tune(small, tmp_path, 2, jobs=2, replications=2)
    assert batches == [1, 1]


def test_the_whole_sum_is_announced_first(tmp_path: Path, small: dict[str, Any]) -> None:
    told: list[int] = []

    class Listening(Watcher):
        def announced(self, replications: int) -> None:
            told.append(replications)

    tune(small, tmp_path, 3, replications=2, watcher=Listening())
    assert told[0] == 6
    assert set(told[1:]) == {2}


def test_a_point_that_lacks_a_metric_is_noted_and_the_search_goes_on(tmp_path: Path, small: dict[str, Any]) -> None:
    found = rxpool.tune(
        {**small, "duration_ms": 0.5},
        [Axis.parse("nics.nic0.driver=mlx5,ixgbe")],
        minimise=["rx_no_dma_resources"],
        trials=8,
        store=Store(tmp_path),
    )
    assert found.notes
    assert all("rx_no_dma_resources" in note for note in found.notes)
    assert {t.point["nics.nic0.driver"] for t in found.trials} == {"ixgbe"}
    assert len(found.trials) + len(found.notes) == 8


def test_a_point_that_is_no_scenario_is_noted_and_the_search_goes_on(tmp_path: Path, small: dict[str, Any]) -> None:
    found = rxpool.tune(
        {**small, "duration_ms": 0.5},
        {"nics.nic0.rx_ring": [64, 65, 128]},
        minimise=["sum:posted"],
        trials=8,
        store=Store(tmp_path),
    )
    assert {t.point["nics.nic0.rx_ring"] for t in found.trials} <= {64, 128}
    assert len(found.trials) + len(found.notes) == 8
    assert found.notes
    assert all("(no run): " in note and "power of two" in note for note in found.notes)


@pytest.mark.parametrize(
    ("minimise", "subject_to", "message"),
    [
        (["sum:posted", "sum:posted"], [], "--minimise sum:posted: the same metric twice"),
        (["nics.*.posted"], [], "a pattern names several metrics; use sum:METRIC or max:METRIC"),
        (["sum:posted"], ["sum:posted<=nan"], "--subject-to sum:posted<=nan: write it as"),
        (["sum:posted"], ["sum:posted>=1e400"], "--subject-to sum:posted>=1e400: write it as"),
    ],
)
def test_a_goal_that_makes_no_sense_is_refused(
    tmp_path: Path, small: dict[str, Any], minimise: list[str], subject_to: list[str], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        tune(small, tmp_path, 2, minimise=minimise, subject_to=subject_to)
    assert message in str(caught.value)


def test_no_trial_at_all_is_an_error(tmp_path: Path, small: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"no trial gave every metric: trial 0 \(no run\): .*rx_rong"):
        rxpool.tune(small, {"nics.nic0.rx_rong": [64]}, minimise=["sum:posted"], trials=3, store=Store(tmp_path))


def test_kill_9_at_any_moment_loses_no_finished_trial(tmp_path: Path, small_file: Path) -> None:
    arguments = [
        "tune",
        small_file,
        "--vary",
        "nics.nic0.rx_usecs=1:50",
        "--minimise",
        "sum:interrupts",
        "--trials",
        "8",
    ]
    command = [sys.executable, "-m", "rxpool", *map(str, arguments), "--out", str(tmp_path / "runs"), "--format", "csv"]
    moments = random.Random(4)

    def finished() -> int:
        return len(list((tmp_path / "runs").rglob("[0-9]*.parquet")))

    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        target = finished() + moments.randint(0, 2)
        while process.poll() is None and finished() < target:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert last.returncode == 0, last.stderr
    assert last.stderr == ""
    assert len(last.stdout.splitlines()) == 1 + 8
