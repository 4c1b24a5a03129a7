"""Running replications: pure, on this process, on worker processes, or on any executor."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from rxpool.errors import ExitCode, InputError
from rxpool.interrupt import raise_if_interrupted
from rxpool.policy_given import PolicySource
from rxpool.record import Replication
from rxpool.scenario import Scenario, ScenarioSource, load
from rxpool.shipped import shipped_folder

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from rxpool.result import Result

DEAD_WORKER_S = 5.0
"""How long a dead worker may keep everybody waiting; a pool that is not stuck notices it at once."""

NO_WORKER_S = 30.0
"""How long a cluster may be without any worker: a job's successor gets its time, and nobody waits for ever."""

BATCHES_PER_WORKER = 64
"""Into how many tasks a worker's share of a study is cut that keeps nothing before its end; handing a task out and back
costs its parent a good part of a millisecond."""

Progress = Callable[[float, float, int], bool]
"""Called with simulated ms, total ms and offered packets; returns False to stop."""

Outcome = TypeVar("Outcome")


def worker_count(executor: Executor) -> int:
    """How many tasks run at a time; a guess for a cluster, whose workers come and go."""
    return int(getattr(executor, "_max_workers", None) or 64)


def ahead(executor: Executor) -> int:
    """How many tasks an executor is handed at a time: a stop loses little, a long list costs no memory."""
    return 4 * worker_count(executor)


def some_finished(futures: Sequence[Future[Outcome]], executor: Executor) -> set[Future[Outcome]]:
    """Waits until one of ``futures`` is finished, also when a worker was killed in the middle of writing its result.

    Half a message is in the pipe then, and ``ProcessPoolExecutor`` would wait for the rest for ever, since this process
    holds the pipe open as well. Closing it, with every worker ended, makes the pool see that it is broken.
    """
    with_worker = time.monotonic()
    while True:
        finished, _ = wait(futures, timeout=DEAD_WORKER_S, return_when=FIRST_COMPLETED)
        processes = list((getattr(executor, "_processes", None) or {}).values())
        if finished or all(process.exitcode is None for process in processes):
            raise_if_interrupted()
            if finished:
                return finished
            with_worker = _expect_workers(executor, with_worker)
            continue
        for process in processes:
            process.kill()
        executor._result_queue._writer.close()  # type: ignore[attr-defined]


def outcome(future: Future[Outcome]) -> Outcome:
    """What a finished task gives back. Raises :class:`InputError` (exit 5) where a cluster gave it up."""
    try:
        return future.result()
    except CancelledError:
        raise _given_up("the scheduler is gone, or it cancelled the task") from None
    except Exception as error:
        # Dask's own error, by name: the package is not needed here.
        if type(error).__name__ != "KilledWorker":
            raise
        raise _given_up("every worker that ran it died; out of memory, perhaps") from None


def _given_up(why: str) -> InputError:
    return InputError(f"the cluster gave a replication up: {why}; run again", ExitCode.LIMIT)


def _expect_workers(executor: Executor, since: float) -> float:
    """When a cluster's executor was last seen with a worker. Raises :class:`InputError` (exit 5) after a while."""
    count = getattr(executor, "worker_count", None)
    if count is None or count() > 0:
        return time.monotonic()
    if time.monotonic() - since > NO_WORKER_S:
        raise InputError(f"the cluster has had no worker for {NO_WORKER_S:g} s; start some, run again", ExitCode.LIMIT)
    return since


def run(
    source: ScenarioSource,
    *,
    set: Mapping[str, Any] | None = None,
    seed: int | None = None,
    replications: int | None = None,
    policy: PolicySource | None = None,
    allow_path: bool = False,
    executor: Executor | None = None,
    jobs: int = 1,
) -> Result:
    """Runs a scenario and returns its result; writes nothing.

    The arguments up to ``allow_path`` are those of :func:`rxpool.load`. Replications run in this process, in ``jobs``
    worker processes, or on ``executor``; the result is the same bit for bit.
    Raises :class:`InputError`, or :class:`InternalError` when a ledger does not close.
    """
    scenario = load(source, set=set, seed=seed, replications=replications, policy=policy, allow_path=allow_path)
    return run_scenarios([scenario], executor=executor, jobs=jobs)[0]


def run_scenarios(scenarios: Sequence[Scenario], *, executor: Executor | None = None, jobs: int = 1) -> list[Result]:
    """Runs several scenarios on one pool; writes nothing. Results come in the order given.

    Raises :class:`InputError` for a policy that cannot leave this process, and (exit 5) where a worker died.
    """
    from rxpool.result import Result

    for scenario in scenarios:
        if scenario.only_here is not None and (executor is not None or jobs > 1):
            raise InputError(
                f"policy {scenario.only_here}: a function that no module holds runs in this process only: "
                "leave jobs at 1, or put it into a module"
            )
    tasks = sum(scenario.replications for scenario in scenarios)
    done: list[dict[int, Replication]] = [{} for _ in scenarios]
    try:
        with workers(jobs, executor, tasks) as pool:
            for position, replication in _run_tasks(scenarios, tasks, pool):
                done[position][replication.replication] = replication
    except BrokenExecutor:
        raise InputError(
            "a worker process died: killed, out of memory, or this script runs itself again in its workers; put what "
            'it does under `if __name__ == "__main__":`',
            ExitCode.LIMIT,
        ) from None
    results = []
    for scenario, by_index in zip(scenarios, done, strict=True):
        ordered = tuple(by_index[index] for index in sorted(by_index))
        results.append(Result(scenario, ordered, run_context(ordered)))
    return results


def run_one(scenario: Scenario, replication: int, progress: Progress | None = None) -> Replication:
    """Runs one replication on this thread; the interpreter's lock is released meanwhile."""
    from rxpool import _core

    folder = scenario.folder
    return Replication.from_core(
        _core.run(scenario.text, folder, shipped_folder(), replication, progress, scenario.brought_contents())
    )


def _run_several(scenario: Scenario, replications: Sequence[int]) -> list[Replication]:
    return [run_one(scenario, replication) for replication in replications]


def _run_tasks(
    scenarios: Sequence[Scenario], tasks: int, executor: Executor | None
) -> Iterator[tuple[int, Replication]]:
    """Yields the scenario's position with each replication, in the order they finish; hands out a few at a time."""
    if executor is None:
        for position, scenario in enumerate(scenarios):
            for index in range(scenario.replications):
                yield position, run_one(scenario, index)
        return
    size = max(1, tasks // (BATCHES_PER_WORKER * worker_count(executor)))
    batches = (
        (position, range(first, min(first + size, scenario.replications)))
        for position, scenario in enumerate(scenarios)
        for first in range(0, scenario.replications, size)
    )
    waiting: dict[Future[list[Replication]], int] = {}
    try:
        while True:
            while len(waiting) < ahead(executor) and (batch := next(batches, None)) is not None:
                waiting[executor.submit(_run_several, scenarios[batch[0]], batch[1])] = batch[0]
            if not waiting:
                return
            for future in some_finished(list(waiting), executor):
                position = waiting.pop(future)
                for replication in outcome(future):
                    yield position, replication
    finally:
        for future in waiting:
            future.cancel()


@contextmanager
def workers(jobs: int, executor: Executor | None, tasks: int) -> Iterator[Executor | None]:
    """The executor to use: the given one, ``jobs`` local processes, or None for this process."""
    jobs = min(jobs, tasks)
    if executor is not None or jobs <= 1:
        yield executor
        return
    pool = process_pool(jobs)
    try:
        yield pool
    except BaseException:
        _stop(pool)
        raise
    pool.shutdown()


def process_pool(jobs: int) -> ProcessPoolExecutor:
    """Worker processes that leave Ctrl-C to their parent, and end when it does."""
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rxpool._worker"])
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker)


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent closes nothing: without this its workers would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _stop(pool: ProcessPoolExecutor) -> None:
    """Ends the workers at once: an event loop does not hear a cancelled future."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


def check_memory(scenario: Scenario, jobs: int = 1) -> None:
    """Raises :class:`InputError` (exit 5) when ``jobs`` replications would need more memory than this machine has."""
    from rxpool import _core

    need = _core.memory_estimate(scenario.text, scenario.folder, shipped_folder(), scenario.brought_contents()) * jobs
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if need > machine:
        raise InputError(
            f"{scenario.source}: simulating this host takes about {need / 2**30:.1f} GiB of memory, the machine has "
            f"{machine / 2**30:.1f} GiB; use smaller rings, fewer queues or flows"
            + (", or fewer --jobs" if jobs > 1 else ""),
            ExitCode.LIMIT,
        )


def run_context(replications: Sequence[Replication]) -> dict[str, Any]:
    """When, where and how fast: the part of a result that no comparison reads."""
    from rxpool import _core

    seconds = sum(r.loop_cpu_seconds or 0.0 for r in replications)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{key: value for key, value in _core.build_info().items() if key != "core_source"},
        "loop_cpu_seconds": seconds,
        "cpu_seconds": {f"{r.replication:04d}": r.loop_cpu_seconds for r in replications},
        "offered_packets_per_cpu_second": _rate(replications, lambda r: r.offered_packets),
        "program_packets_per_cpu_second": _rate(replications, lambda r: r.program_packets),
    }


def _rate(replications: Sequence[Replication], count: Callable[[Replication], int]) -> float | None:
    timed = [(count(r), r.loop_cpu_seconds) for r in replications if r.loop_cpu_seconds]
    seconds = sum(s for _, s in timed)
    return sum(n for n, _ in timed) / seconds if seconds else None
