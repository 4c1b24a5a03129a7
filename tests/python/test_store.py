"""The store: nothing lost, nothing torn, nothing run twice."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rxpool.study
from made_records import made_replication, made_scenario
from rxpool.errors import ExitCode, InputError
from rxpool.files import atomic_file
from rxpool.record import Replication
from rxpool.running import process_pool
from rxpool.scenario import Scenario
from rxpool.store import RunFolder, Store, find_run, load_run

DRIVER = Path(__file__).with_name("store_driver.py")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replaces the core; the list says which replications were run."""
    numbers: list[int] = []

    def run_one(scenario: Scenario, index: int, progress: object = None) -> Replication:
        numbers.append(index)
        return made_replication(index)

    monkeypatch.setattr(rxpool.study, "run_one", run_one)
    monkeypatch.setattr(rxpool.study, "check_memory", lambda *_: None)
    monkeypatch.setattr(rxpool.study, "run_context", lambda _: {"cpu_seconds": {}})
    return numbers


def contents(store: Path) -> dict[str, bytes]:
    """Every file that is a function of the inputs."""
    skipped = {"context.json", ".lock"}
    return {
        str(p.relative_to(store)): p.read_bytes()
        for p in sorted(store.rglob("*"))
        if p.is_file() and p.name not in skipped
    }


def test_finished_replications_are_not_run_again(tmp_path: Path, ran: list[int]) -> None:
    store = Store(tmp_path)
    first = rxpool.study.run_stored([made_scenario(3)], store)[0]
    before = contents(tmp_path)
    again = rxpool.study.run_stored([made_scenario(3)], store)[0]
    assert ran == [0, 1, 2]
    assert again.fingerprint == first.fingerprint
    assert contents(tmp_path) == before
    more = rxpool.study.run_stored([made_scenario(5)], store)[0]
    assert ran == [0, 1, 2, 3, 4]
    assert len(more.replications) == 5
    assert len(rxpool.study.run_stored([made_scenario(2)], store)[0].replications) == 2


def test_fresh_runs_again_and_writes_the_same_bytes(tmp_path: Path, ran: list[int]) -> None:
    rxpool.study.run_stored([made_scenario(2)], Store(tmp_path))
    before = contents(tmp_path)
    rxpool.study.run_stored([made_scenario(2)], Store(tmp_path), fresh=True)
    assert ran == [0, 1, 0, 1]
    assert contents(tmp_path) == before


def test_the_order_in_which_replications_finish_changes_no_byte(tmp_path: Path, ran: list[int]) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    rxpool.study.run_stored([made_scenario(4)], Store(a))
    for count in (1, 3, 4):
        rxpool.study.run_stored([made_scenario(count)], Store(b))
    assert contents(a) == contents(b)


def test_a_stored_run_reads_back(tmp_path: Path, ran: list[int]) -> None:
    result = rxpool.study.run_stored([made_scenario(3)], Store(tmp_path))[0]
    assert result.path is not None
    back = load_run(result.path)
    assert back.name == result.name
    assert back.fingerprint == result.fingerprint
    assert back.metrics.equals(result.metrics)
    assert back.series.equals(result.series)
    assert back.ledger == result.ledger
    assert find_run("made-0123", tmp_path) == Path(result.path)


def test_merged_files_hold_every_replication_in_order(tmp_path: Path, ran: list[int]) -> None:
    duckdb = pytest.importorskip("duckdb")
    polars = pytest.importorskip("polars")
    rxpool.study.run_stored([made_scenario(3), made_scenario(2, digest="f" * 64)], Store(tmp_path))
    glob = str(tmp_path / "*" / "metrics.parquet")
    rows = duckdb.sql(f"select run, policy, replication, metric, value from '{glob}' order by run, replication, metric")
    assert len(rows.fetchall()) == 2 * (3 + 2)
    frame = polars.read_parquet(glob)
    assert frame.columns == ["run", "scenario", "policy", "replication", "component", "metric", "unit", "value"]
    one = frame.filter((polars.col("run") == "made-0123456789abcdef") & (polars.col("metric") == "rx_packets"))
    assert one["value"].to_list() == [made_replication(i).value[0] for i in range(3)]
    series = polars.read_parquet(str(tmp_path / "*" / "series.parquet"))
    assert len(series) == 5 * 2 * 20
    assert series["time_ns"].dtype == polars.Int64


def test_the_manifest_is_of_another_format(tmp_path: Path, ran: list[int]) -> None:
    result = rxpool.study.run_stored([made_scenario(1)], Store(tmp_path))[0]
    path = Path(str(result.path)) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    before = contents(tmp_path)
    for action in (
        lambda: load_run(str(result.path)),
        lambda: rxpool.study.run_stored([made_scenario(2)], Store(tmp_path)),
    ):
        with pytest.raises(
            InputError, match=r"manifest.json: store format 99, this rxpool reads format 1; give another"
        ):
            action()
    assert contents(tmp_path) == before


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'"x"', b'{"format": 1}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, ran: list[int], damage: bytes) -> None:
    result = rxpool.study.run_stored([made_scenario(1)], Store(tmp_path))[0]
    (Path(str(result.path)) / "manifest.json").write_bytes(damage)
    with pytest.raises(InputError, match=r"manifest\.json: damaged"):
        load_run(str(result.path))


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_a_damaged_replication_is_named(tmp_path: Path, ran: list[int], keep: int) -> None:
    result = rxpool.study.run_stored([made_scenario(2)], Store(tmp_path))[0]
    path = RunFolder(Path(str(result.path))).replication_path(1)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"0001\.parquet: damaged; delete it"):
        load_run(str(result.path))


def test_a_folder_of_another_scenario_is_refused(tmp_path: Path, ran: list[int]) -> None:
    rxpool.study.run_stored([made_scenario(1)], Store(tmp_path))
    other = made_scenario(1, digest="0123456789abcdef" + "f" * 48)  # the same 16 digits
    with pytest.raises(InputError, match="another scenario"):
        rxpool.study.run_stored([other], Store(tmp_path))


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        load_run(tmp_path)
    with pytest.raises(InputError, match="no such run folder"):
        find_run("nothing", tmp_path)


def test_a_failing_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(InputError, match=r"No space left.*give another --out") as caught, atomic_file(path) as file:
        file.write(b"new")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.code == ExitCode.LIMIT
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def drive(store: Path, count: int, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, DRIVER, store, str(count), str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mount.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("room_kib", [4, 120, *(pytest.param(k, marks=pytest.mark.full) for k in (40, 250, 300))])
def test_a_full_disk_keeps_what_was_finished(tiny_disk: Path, room_kib: int) -> None:
    store = tiny_disk / "runs"
    filler = tiny_disk / "filler"
    filler.write_bytes(bytes((1024 - room_kib - 12) * 1024))
    writer = drive(store, 30, 0)
    _, errors = writer.communicate(timeout=60)
    assert writer.returncode == ExitCode.LIMIT, errors
    assert errors.decode().count("\n") == 1, errors
    assert "No space left on device" in errors.decode()
    assert not list(tiny_disk.rglob(".tmp-*"))
    kept = list(store.rglob("[0-9]*.parquet"))
    for path in kept:
        number = int(path.stem)
        assert RunFolder(path.parents[1]).read(number).facts() == made_replication(number, 200).facts()
    # With room again the same command goes on where it stopped.
    filler.unlink()
    before = len((tiny_disk / "ran").read_text().split()) if (tiny_disk / "ran").exists() else 0
    writer = drive(store, 30, 0)
    _, errors = writer.communicate(timeout=60)
    assert writer.returncode == 0, errors
    assert len((tiny_disk / "ran").read_text().split()) == before + 30 - len(kept)


def test_two_processes_in_one_store_run_everything_once(tmp_path: Path) -> None:
    writers = [drive(tmp_path / "runs", 10, 0.05) for _ in range(2)]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors
    assert sorted(int(n) for n in (tmp_path / "ran").read_text().split()) == list(range(10))


def undisturbed(tmp_path: Path, count: int) -> dict[str, bytes]:
    writer = drive(tmp_path / "undisturbed" / "runs", count, 0)
    assert writer.wait(60) == 0
    return contents(tmp_path / "undisturbed" / "runs")


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.full)])
def test_kill_9_at_any_moment_loses_only_what_was_running(tmp_path: Path, kills: int) -> None:
    count = 40
    expected = undisturbed(tmp_path, count)
    moments = random.Random(1)
    store, log = tmp_path / "killed" / "runs", tmp_path / "killed" / "ran"
    killed = 0
    while killed < kills:
        if store.exists() and len(list(store.rglob("[0-9]*.parquet"))) == count:
            shutil.rmtree(store)
            log.unlink()
        already = log.stat().st_size if log.exists() else 0
        writer = drive(store, count, 0.01)
        while writer.poll() is None and not (log.exists() and log.stat().st_size > already):
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.8))
        if writer.poll() is None:
            writer.send_signal(signal.SIGKILL)
            killed += 1
        writer.communicate()
        runs = log.read_text().split() if log.exists() else []
        kept = len(list(store.rglob("[0-9]*.parquet")))
        assert len(runs) - len(set(runs)) <= killed, "a finished replication was run again"
        assert kept >= len(set(runs)) - 1, "more than the replication in flight was lost"
    writer = drive(store, count, 0)
    assert writer.wait(60) == 0, writer.communicate()
    assert contents(store) == expected


def test_flipped_bytes_never_pass_for_a_result(tmp_path: Path, ran: list[int]) -> None:
    result = rxpool.study.run_stored([made_scenario(1)], Store(tmp_path))[0]
    folder = RunFolder(Path(str(result.path)))
    path = folder.replication_path(0)
    whole = path.read_bytes()
    found = folder.read(0)
    assert found.checksum == made_replication(0).checksum
    refused = 0
    for position in range(0, len(whole), 5):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        try:
            assert folder.read(0).checksum == found.checksum, position
        except InputError as error:
            assert "damaged; delete it" in str(error), position
            refused += 1
    assert refused > len(range(0, len(whole), 5)) / 2  # the rest is what nobody reads: statistics, Arrow's own copy


def test_a_study_lies_where_a_glob_of_runs_does_not_meet_it(tmp_path: Path) -> None:
    folder = Store(tmp_path).study_folder("x-sweep-0")
    assert folder.is_dir()
    listed = subprocess.run(["bash", "-c", f"ls -d {tmp_path}/*"], capture_output=True, text=True, check=False)
    assert listed.stdout == ""


def test_the_first_replication_is_checked_before_more_is_run(tmp_path: Path, ran: list[int]) -> None:
    def refuse(replication: Replication) -> None:
        raise InputError("no such metric")

    with pytest.raises(InputError, match="no such metric"):
        rxpool.study.run_stored([made_scenario(5)], Store(tmp_path), check=refuse)
    assert ran == [0]
    with pytest.raises(InputError, match="no such metric"):
        rxpool.study.run_stored([made_scenario(5)], Store(tmp_path), check=refuse)
    assert ran == [0]


def test_a_run_that_fails_at_once_leaves_no_folder(
    tmp_path: Path, ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Replication:
        raise InputError("calibration: a step is missing")

    monkeypatch.setattr(rxpool.study, "run_one", fail)
    with pytest.raises(InputError, match="a step is missing"):
        rxpool.study.run_stored([made_scenario(2)], Store(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_who_waited_for_a_folder_that_was_removed_makes_it_anew(tmp_path: Path, ran: list[int]) -> None:
    scenario = made_scenario(1)
    folder = Store(tmp_path).folder(scenario)
    first = folder.open(scenario)
    assert first is not None
    folder.discard_empty()
    assert not first.holds(folder.path)
    second = folder.open(scenario)
    assert second is not None
    assert second.holds(folder.path)
    assert folder.manifest()["digest"] == scenario.digest
    first.close()
    second.close()


def test_compare_keeps_its_runs_and_shares_one_pool(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[int] = []

    def counted(jobs: int) -> Any:
        pools.append(jobs)
        return process_pool(jobs)

    monkeypatch.setattr("rxpool.running.process_pool", counted)
    here = rxpool.compare(small, ["pass", "drop"], replications=2, jobs=2)
    kept = rxpool.compare(small, ["pass", "drop"], replications=2, jobs=2, store=Store(tmp_path))
    assert pools == [2, 2]
    assert [r.fingerprint for r in kept.results] == [r.fingerprint for r in here.results]
    assert len(list(tmp_path.glob("*/metrics.parquet"))) == 2


def test_a_run_shorter_than_one_sample_reads_back(tmp_path: Path, small: dict[str, Any]) -> None:
    scenario = rxpool.load(small, set={"duration_ms": 0.3, "record.every_us": 1000})
    (first,) = rxpool.study.run_stored([scenario], Store(tmp_path))
    (again,) = rxpool.study.run_stored([scenario], Store(tmp_path))
    assert again.fingerprint == first.fingerprint
    assert len(load_run(tmp_path / first.name).series) == 0


def test_a_damaged_scenario_of_a_run_is_mended_by_running_it_again(tmp_path: Path, ran: list[int]) -> None:
    scenario = made_scenario(replications=1)
    (result,) = rxpool.study.run_stored([scenario], Store(tmp_path))
    file = tmp_path / result.name / "scenario.json"
    whole = file.read_bytes()
    for damage in (b"null", b"{"):
        file.write_bytes(damage)
        with pytest.raises(InputError, match=r"scenario\.json: missing or damaged; run the scenario again"):
            load_run(tmp_path / result.name)
        rxpool.study.run_stored([scenario], Store(tmp_path))
        assert file.read_bytes() == whole
    assert ran == [0]
    (tmp_path / result.name / "context.json").write_text("[]")
    assert load_run(tmp_path / result.name).fingerprint == result.fingerprint
