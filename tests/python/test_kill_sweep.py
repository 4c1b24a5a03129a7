"""`kill -9` at any moment of a sweep loses at most what was running; the store ends up the same byte for byte."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from test_store import contents

REPLICATIONS, POINTS, JOBS = 12, 4, 2


def sweep(folder: Path, scenario: Path) -> subprocess.Popen[bytes]:
    arguments = ["sweep", scenario, "--vary", "nics.nic0.rx_ring=64,128,256,512", "--replications", REPLICATIONS]
    command = [sys.executable, "-m", "rxpool", *map(str, arguments), "--jobs", str(JOBS), "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finished(folder: Path) -> dict[str, int]:
    """Every finished replication's file with its inode: a file that is written again gets another."""
    return {str(p): p.stat().st_ino for p in folder.rglob("replications/[0-9]*.parquet")}


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.full)])
def test_a_killed_sweep_goes_on(tmp_path: Path, small_file: Path, kills: int) -> None:
    undisturbed = sweep(tmp_path / "undisturbed", small_file)
    assert undisturbed.wait(300) == 0, undisturbed.communicate()
    expected = contents(tmp_path / "undisturbed")
    assert len(finished(tmp_path / "undisturbed")) == REPLICATIONS * POINTS
    moments = random.Random(2)
    store = tmp_path / "killed"
    killed = 0
    while killed < kills:
        if len(finished(store)) >= REPLICATIONS * POINTS:
            shutil.rmtree(store)
        kept = finished(store)
        process = sweep(store, small_file)
        # From the start of the interpreter to well into the writing.
        target = len(kept) + moments.randint(0, 8)
        while process.poll() is None and len(finished(store)) < target:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        assert kept.items() <= finished(store).items(), "a finished replication was lost or run again"
    last = sweep(store, small_file)
    assert last.wait(300) == 0, last.communicate()
    assert contents(store) == expected


def test_workers_end_with_their_parent(tmp_path: Path, small_file: Path) -> None:
    process = sweep(tmp_path / "runs", small_file)
    while not finished(tmp_path / "runs") and process.poll() is None:
        time.sleep(0.01)
    workers = _descendants(process.pid)
    assert workers
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []


def _descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = [pid]
    for parent in found:
        found += [child for child, of in parents if of == parent]
    return found[1:]
