"""Running scenarios into a store: what is finished is not run again, every finished replication is kept at once.

Any number of scenarios share one pool of workers. A run folder is locked while its replications are out; a folder that
another process is writing is put off, and waited for only when nothing else of ours is open, so that two studies that
overlap never wait for each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field, replace

from rxpool.errors import ExitCode, InputError
from rxpool.files import FolderLock
from rxpool.interrupt import raise_if_interrupted
from rxpool.record import Replication
from rxpool.result import Result
from rxpool.running import ahead, check_memory, outcome, run_context, run_one, some_finished, workers
from rxpool.scenario import Scenario
from rxpool.store import RunFolder, Store, with_cpu_seconds


class Watcher:
    """Hears how a study goes on; the base class ignores it all."""

    def announced(self, replications: int) -> None:
        """So many more replications are to come at most, the finished ones that will be read back among them."""

    def planned(self, replications: int, kept: int) -> None:
        """``replications`` are asked for by a scenario that was just opened, of which ``kept`` are finished already."""

    def moving(self, simulated_ms: float, total_ms: float, offered_packets: int) -> bool:
        """A replication in this process goes on; false stops it."""
        return True

    def finished(self, replication: Replication) -> None:
        """One replication is finished and kept."""

    def waiting(self, folder: RunFolder) -> None:
        """Another process writes ``folder``; this one waits for it."""


def run_stored(
    scenarios: Sequence[Scenario],
    store: Store,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    fresh: bool = False,
    watcher: Watcher | None = None,
    check: Callable[[Replication], None] | None = None,
) -> list[Result]:
    """Runs scenarios into ``store`` and returns their results in the order given.

    Finished replications are read back, unless ``fresh``. ``check`` gets the first replication that is there and may
    raise, before more is run. Raises :class:`InputError` (exit 5 for a full disk or a
    worker that died) and :class:`KeyboardInterrupt`; what was finished is kept.
    """
    for scenario in scenarios:
        if scenario.only_here is not None:
            raise InputError(
                f"policy {scenario.only_here}: a function that no module holds cannot be run again, so it is "
                "never stored; use rxpool.run, or put it into a module"
            )
    # Scenarios that differ only in the number of replications share a folder: the larger number is run.
    unique = {s.run_name: s for s in sorted(scenarios, key=lambda s: s.replications)}
    total = sum(s.replications for s in unique.values())
    for scenario in unique.values():
        check_memory(scenario, min(jobs, total))
    watcher = watcher or Watcher()
    watcher.announced(total)
    with workers(jobs, executor, total) as pool:
        study = _Study(deque(unique.values()), store, pool, fresh, watcher, check)
        try:
            study.run()
        except BrokenExecutor:
            raise InputError(
                "a worker process died (killed, or out of memory); finished replications are kept, run again",
                ExitCode.LIMIT,
            ) from None
        finally:
            study.close()
    return [_first(study.results[s.run_name], s) for s in scenarios]


def _first(result: Result, scenario: Scenario) -> Result:
    """The result with as many replications as ``scenario`` asks for."""
    return replace(result, scenario=scenario, replications=result.replications[: scenario.replications])


@dataclass
class _OpenRun:
    """A scenario whose folder is locked."""

    scenario: Scenario
    folder: RunFolder
    lock: FolderLock
    done: dict[int, Replication]
    missing: int
    ran: int = 0


@dataclass
class _Study:
    pending: deque[Scenario]
    store: Store
    pool: Executor | None
    fresh: bool
    watcher: Watcher
    check: Callable[[Replication], None] | None = None
    results: dict[str, Result] = field(default_factory=dict)
    open_runs: dict[str, _OpenRun] = field(default_factory=dict)
    ready: deque[tuple[_OpenRun, int]] = field(default_factory=deque)
    out: dict[Future[Replication], _OpenRun] = field(default_factory=dict)

    def run(self) -> None:
        while self.pending or self.ready or self.out:
            raise_if_interrupted()
            if self.pool is None:
                self._run_here()
            else:
                self._run_on(self.pool)

    def close(self) -> None:
        for future in self.out:
            future.cancel()
        for run in self.open_runs.values():
            run.folder.discard_empty()
            run.lock.close()

    def _run_here(self) -> None:
        if not self.ready:
            self._open_next()
            return
        run, index = self.ready.popleft()
        self._take(run, run_one(run.scenario, index, self.watcher.moving))

    def _run_on(self, pool: Executor) -> None:
        while len(self.out) < ahead(pool) and (self.ready or self.pending):
            if not self.ready:
                if not self._open_next():
                    break
                continue
            run, index = self.ready.popleft()
            self.out[pool.submit(run_one, run.scenario, index)] = run
        if self.out:
            for future in some_finished(list(self.out), pool):
                self._take(self.out.pop(future), outcome(future))

    def _open_next(self) -> bool:
        """Opens a pending scenario; false when other processes hold all of them and some of ours are open."""
        for _ in range(len(self.pending)):
            scenario = self.pending.popleft()
            folder = self.store.folder(scenario)
            lock = folder.open(scenario, wait=False)
            if lock is not None:
                self._opened(scenario, folder, lock)
                return True
            self.pending.append(scenario)
        if self.open_runs:
            return False
        scenario = self.pending.popleft()
        folder = self.store.folder(scenario)
        self.watcher.waiting(folder)
        lock = folder.open(scenario)
        assert lock is not None
        self._opened(scenario, folder, lock)
        return True

    def _opened(self, scenario: Scenario, folder: RunFolder, lock: FolderLock) -> None:
        run = _OpenRun(scenario, folder, lock, {}, 0)
        self.open_runs[scenario.run_name] = run
        kept = set() if self.fresh else set(folder.finished())
        context = folder.context()
        for index in range(scenario.replications):
            if index in kept:
                run.done[index] = with_cpu_seconds(folder.read(index), context)
                self._look_at(run.done[index])
            else:
                self.ready.append((run, index))
        run.missing = scenario.replications - len(run.done)
        self.watcher.planned(scenario.replications, len(run.done))
        if run.missing == 0:
            self._complete(run)

    def _take(self, run: _OpenRun, replication: Replication) -> None:
        run.folder.write(replication)
        run.done[replication.replication] = replication
        run.missing -= 1
        run.ran += 1
        self.watcher.finished(replication)
        self._look_at(replication)
        if run.missing == 0:
            self._complete(run)

    def _look_at(self, replication: Replication) -> None:
        """Shows the first replication to whoever wants to check it."""
        check, self.check = self.check, None
        if check is not None:
            check(replication)

    def _complete(self, run: _OpenRun) -> None:
        replications = tuple(run.done[index] for index in sorted(run.done))
        if run.ran or not run.folder.merged_current():
            run.folder.merge(run.scenario, replications)
        context = run.folder.context()
        if run.ran or not context:
            context = run_context(replications)
            run.folder.write_context(context)
        self.results[run.scenario.run_name] = Result(run.scenario, replications, context, str(run.folder.path))
        del self.open_runs[run.scenario.run_name]
        run.lock.close()
