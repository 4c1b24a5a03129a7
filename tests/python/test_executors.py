"""Wherever replications run, results are the same bit for bit, and a worker that dies costs nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import rxpool
from conftest import Command
from rxpool.executors import client_executor, dask_executor, is_private
from rxpool.running import outcome, process_pool
from rxpool.store import Store
from rxpool.study import Watcher, run_stored


@contextmanager
def cluster(
    folder: Path, workers: int = 2, tls: tuple[str, ...] = ()
) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and worker processes on the loopback address."""
    pytest.importorskip("distributed")
    dask = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        *(("--protocol", "tls", *tls) if tls else ()),
    ]
    log = (folder / "scheduler.log").open("wb")
    scheduler = subprocess.Popen(dask, cwd=folder, stderr=log, stdout=log)
    processes = []
    try:
        address = ""
        deadline = time.monotonic() + 60
        while not address and time.monotonic() < deadline:
            time.sleep(0.1)
            found = re.search(
                r"Scheduler at:\s+((?:tcp|tls)://127\.0\.0\.1:\d+)", (folder / "scheduler.log").read_text()
            )
            address = found[1] if found else ""
        assert address, (folder / "scheduler.log").read_text()
        for _ in range(workers):
            command = [
                sys.executable,
                "-m",
                "distributed.cli.dask_worker",
                address,
                "--nthreads",
                "1",
                "--no-dashboard",
                *tls,
            ]
            processes.append(
                subprocess.Popen(
                    [*command, "--no-nanny", "--local-directory", folder], cwd=folder, stderr=log, stdout=log
                )
            )
        if not tls:
            _wait_for_workers(address, workers)
        yield address, processes
    finally:
        for process in [*processes, scheduler]:
            process.kill()
        for process in [*processes, scheduler]:
            process.wait(30)
        log.close()


def _wait_for_workers(address: str, count: int) -> None:
    from distributed import Client

    with Client(address, set_as_default=False, timeout="60s") as client:
        client.wait_for_workers(count, timeout=60)


def test_threads_processes_and_this_process_agree(small: dict[str, Any]) -> None:
    expected = rxpool.run(small, replications=8)
    with ThreadPoolExecutor(2) as threads:
        assert rxpool.run(small, replications=8, executor=threads).metrics.equals(expected.metrics)
    with process_pool(2) as processes:
        assert rxpool.run(small, replications=8, executor=processes).metrics.equals(expected.metrics)


def test_a_worker_process_that_is_killed_loses_what_it_ran(tmp_path: Path, small: dict[str, Any]) -> None:
    scenario = rxpool.load(small, set={"duration_ms": 20}, replications=40)
    with process_pool(2) as pool:
        pool.submit(os.getpid).result()
        victim = next(iter(pool._processes))

        class Kill(Watcher):
            def finished(self, replication: rxpool.Replication) -> None:
                if replication.replication >= 3:
                    with suppress(ProcessLookupError):  # it is dead already when the next one comes
                        os.kill(victim, signal.SIGKILL)

        with pytest.raises(rxpool.InputError, match="worker process died") as caught:
            run_stored([scenario], Store(tmp_path), executor=pool, watcher=Kill())
    assert caught.value.code == rxpool.ExitCode.LIMIT
    kept = len(list(tmp_path.rglob("[0-9]*.parquet")))
    assert kept >= 3
    again = run_stored([scenario], Store(tmp_path), jobs=2)[0]
    assert again.fingerprint == rxpool.run(scenario).fingerprint


def test_dask_gives_the_same_bits_and_survives_a_dead_worker(tmp_path: Path, small: dict[str, Any]) -> None:
    scenario = rxpool.load(small, set={"duration_ms": 10}, replications=24)
    expected = rxpool.run(scenario, jobs=2)
    with cluster(tmp_path) as (address, processes), dask_executor(address) as executor:
        assert rxpool.run(scenario, executor=executor).metrics.equals(expected.metrics)

        class Kill(Watcher):
            def finished(self, replication: rxpool.Replication) -> None:
                if processes[0].poll() is None:
                    processes[0].send_signal(signal.SIGKILL)

        stored = run_stored([scenario], Store(tmp_path / "runs"), executor=executor, watcher=Kill())[0]
        assert processes[0].wait(10) == -signal.SIGKILL
    assert stored.fingerprint == expected.fingerprint
    assert stored.series.equals(expected.series)


def test_dask_over_tls(tmp_path: Path, small: dict[str, Any]) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made = subprocess.run(
        ["openssl", "req", *options, "-keyout", key, "-out", certificate],
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("no openssl to make a certificate with")
    tls = ("--tls-ca-file", str(certificate), "--tls-cert", str(certificate), "--tls-key", str(key))
    names = {"tls_ca_file": str(certificate), "tls_client_cert": str(certificate), "tls_client_key": str(key)}
    scenario = rxpool.load(small, replications=4)
    with cluster(tmp_path, 1, tls) as (address, _):
        assert address.startswith("tls://")
        deadline = time.monotonic() + 60
        while True:
            with suppress(rxpool.InputError), dask_executor(address, names) as executor:
                assert rxpool.run(scenario, executor=executor).fingerprint == rxpool.run(scenario).fingerprint
                break
            assert time.monotonic() < deadline, "no worker came"
            time.sleep(0.5)


def test_an_address_that_others_can_hear_is_told_apart() -> None:
    for address in (
        "tls://10.0.0.1:8786",
        "tcp://127.0.0.1:8786",
        "localhost:8786",
        "tcp://[::1]:1",
        "inproc://1",
        "tcp://127.8.1.1:1",
    ):
        assert is_private(address), address
    for address in (
        "tcp://10.0.0.1:8786",
        "10.0.0.1:8786",
        "tcp://cluster.example.org:8786",
        "ws://x:1",
        "tcp://127.example.org:1",
    ):
        assert not is_private(address), address


def test_nobody_at_the_address_is_exit_3() -> None:
    pytest.importorskip("distributed")
    with (
        pytest.raises(rxpool.InputError, match=r"--dask tcp://127\.0\.0\.1:9") as caught,
        dask_executor("tcp://127.0.0.1:9"),
    ):
        pass
    assert caught.value.code == rxpool.ExitCode.NOT_AVAILABLE


def test_a_replication_that_kills_its_worker_is_exit_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    with cluster(tmp_path) as (address, _), dask_executor(address) as executor:
        future: Any = executor.submit(os._exit, 1)
        with pytest.raises(rxpool.InputError, match="the cluster gave a replication up: every worker") as caught:
            outcome(future)
    assert caught.value.code == rxpool.ExitCode.LIMIT


def test_a_cancelled_replication_is_exit_5() -> None:
    future: Future[Any] = Future()
    future.cancel()
    with pytest.raises(rxpool.InputError, match="the cluster gave a replication up: the scheduler") as caught:
        outcome(future)
    assert caught.value.code == rxpool.ExitCode.LIMIT


def test_a_cluster_without_workers_is_not_waited_for_for_ever(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxpool.running.DEAD_WORKER_S", 0.2)
    monkeypatch.setattr("rxpool.running.NO_WORKER_S", 1.0)
    scenario = rxpool.load(small, set={"duration_ms": 20}, replications=200)
    with cluster(tmp_path) as (address, processes), dask_executor(address) as executor:

        class Kill(Watcher):
            def finished(self, replication: rxpool.Replication) -> None:
                for process in processes:
                    process.kill()

        with pytest.raises(rxpool.InputError, match="has had no worker for 1 s") as caught:
            run_stored([scenario], Store(tmp_path / "runs"), executor=executor, watcher=Kill())
    assert caught.value.code == rxpool.ExitCode.LIMIT
    assert list((tmp_path / "runs").rglob("[0-9]*.parquet"))


def test_the_command_runs_on_a_cluster(tmp_path: Path, rxpool_command: Command, small_file: Path) -> None:
    arguments = ["run", small_file, "--replications", 4, "--format", "json"]
    here = json.loads(rxpool_command(*arguments, "--out", "here").stdout)
    with cluster(tmp_path, 1) as (address, _):
        out = rxpool_command(*arguments, "--out", "there", "--dask", address)
    assert out.returncode == 0, out.stderr
    assert out.stderr == ""
    assert json.loads(out.stdout)["metrics"] == here["metrics"]


def test_a_cluster_without_workers_or_with_others_is_refused() -> None:
    class Client:
        def __init__(self, workers: dict[str, str]) -> None:
            self.workers = workers

        def run(self, *_: Any, **__: Any) -> dict[str, str]:
            return self.workers

    for workers, message in (({}, "has no workers"), ({"tcp://w:1": "other"}, "worker tcp://w:1 has another rxpool")):
        with pytest.raises(rxpool.InputError, match=f"the Dask cluster: .*{message}"):
            client_executor(Client(workers))
