"""Tuning scenario keys with Optuna: minimise metrics, subject to bounds, resumable.

A trial is one point; its replications are kept in the store like any other run's, so a trial that comes up again costs
nothing. The study's journal is a text file in the store, so an interrupted tuning goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rxpool.errors import InputError
from rxpool.files import FolderLock, storage_error
from rxpool.measures import Measure, check_names, is_pattern
from rxpool.result import Result, join_warnings, uncalibrated
from rxpool.running import workers
from rxpool.scenario import Scenario, ScenarioSource, canonical_json, load
from rxpool.sequential import Runner
from rxpool.statistics import CONFIDENCE, Interval, mean_interval
from rxpool.store import Store
from rxpool.study import Watcher, run_stored
from rxpool.sweeping import Axis, as_axes, check_axes
from rxpool.warm_up import WarmUpRule, settling_ms

if TYPE_CHECKING:
    import optuna
    import pandas as pd


@dataclass(frozen=True)
class Bound:
    """A condition on a metric's mean: at most, or at least, a limit."""

    metric: str
    limit: float
    at_most: bool

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Reads ``metric<=limit`` or ``metric>=limit``. Raises :class:`InputError`."""
        match = re.fullmatch(r"\s*(.+?)\s*(<=|>=)\s*(\S+)\s*", text)
        try:
            if match is None or not math.isfinite(limit := float(match[3])):
                raise ValueError
            return cls(match[1], limit, match[2] == "<=")
        except ValueError:
            raise InputError(f"--subject-to {text}: write it as metric<=number or metric>=number") from None

    def excess(self, value: float) -> float:
        """By how much the bound is broken; not positive where it holds."""
        return value - self.limit if self.at_most else self.limit - value


@dataclass(frozen=True)
class Trial:
    """One point that was tried: the keys, the run, every objective's mean with its interval, whether bounds hold."""

    number: int
    point: dict[str, Any]
    run: str
    objectives: dict[str, Interval]
    feasible: bool
    best: bool


@dataclass(frozen=True)
class Tuning:
    """All trials; ``best`` are those on the Pareto front (one for a single objective).

    ``notes`` says which points lack a metric; ``path`` is the folder of the study.
    """

    name: str
    trials: tuple[Trial, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    path: str | None = None

    @property
    def best(self) -> list[Trial]:
        """The feasible trials that no other one beats in every objective."""
        return [trial for trial in self.trials if trial.best]

    @property
    def uncalibrated(self) -> str:
        """What nobody has fitted to measurements though a trial rests on it; empty where there is nothing to say."""
        return uncalibrated(self.warnings)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per trial."""
        import pandas as pd

        return pd.DataFrame([_row(trial) for trial in self.trials])

    def to_dict(self) -> dict[str, Any]:
        """The tuning as plain values."""
        return {
            "schema": 1,
            "study": self.name,
            "path": self.path,
            "trials": [_row(trial) for trial in self.trials],
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "uncalibrated": self.uncalibrated,
        }


def tune(
    source: ScenarioSource,
    axes: Sequence[Axis] | Mapping[str, Sequence[Any]],
    *,
    minimise: Sequence[str],
    subject_to: Sequence[str | Bound] = (),
    trials: int = 50,
    store: Store | None = None,
    executor: Executor | None = None,
    jobs: int = 1,
    watcher: Watcher | None = None,
    warmup: WarmUpRule | None = None,
    **options: Any,
) -> Tuning:
    """Tries points until the study has ``trials`` of them and returns all; ``-metric`` in ``minimise`` maximises.

    Runs and the study's journal go to ``store`` (``./runs`` unless one is given): that is what makes it resumable.
    ``axes`` are :class:`rxpool.sweeping.Axis` objects, or lists of values by dotted path; a point that is no scenario
    (a ring of no power of two) is noted and no candidate.

    With fewer replications than workers several points are tried at once. With ``warmup`` every point is run once to
    find where its own warm-up ends; one that never settles is no candidate. ``options`` are those of
    :func:`rxpool.load`. Raises :class:`InputError`, also while another process works on the same study.
    """
    try:
        import optuna
    except ImportError:
        raise InputError("tune needs the package optuna: pip install 'rxpool[tune]'") from None
    axes = as_axes(axes)
    check_axes(axes, warmup)
    if not minimise:
        raise InputError("tune needs at least one --minimise")
    for name in minimise:
        if is_pattern(name):
            raise InputError(f"--minimise {name}: a pattern names several metrics; use sum:METRIC or max:METRIC")
    twice = [name for name in dict.fromkeys(minimise) if list(minimise).count(name) > 1]
    if twice:
        raise InputError(f"--minimise {twice[0]}: the same metric twice")
    base = load(source, **options)
    bounds = [b if isinstance(b, Bound) else Bound.parse(b) for b in subject_to]
    goal = _Goal(base, tuple(axes), tuple(minimise), tuple(bounds), warmup)
    watcher = watcher or Watcher()
    optuna.logging.set_verbosity(logging.WARNING)
    store = store or Store()
    folder = store.study_folder(goal.study_name)
    with _opened(folder, goal) as study:
        missing = max(0, trials - len(_tried(study)))
        watcher.announced(missing * base.replications * (1 if warmup is None else 2))
        with workers(jobs, executor, missing * base.replications) as pool:
            at_once = max(1, _slots(pool, jobs) // base.replications)
            check = partial(check_names, goal.metrics)
            run = partial(run_stored, store=store, jobs=jobs, executor=pool, watcher=watcher, check=check)
            while (missing := trials - len(_tried(study))) > 0:
                _try_points(study, goal, min(at_once, missing), run)
        found = _collect(study, goal, folder)
    if not found.trials and found.notes:
        raise InputError(f"no trial gave every metric: {found.notes[0]}")
    return found


@dataclass(frozen=True)
class _Goal:
    """What a study looks for, and where."""

    base: Scenario
    axes: tuple[Axis, ...]
    minimise: tuple[str, ...]
    bounds: tuple[Bound, ...]
    warmup: WarmUpRule | None

    @property
    def study_name(self) -> str:
        """The same for the same question, so that an interrupted study is found again."""
        what = [self.base.digest, self.base.replications, *map(_reprs, (self.axes, self.minimise, self.bounds))]
        what += [] if self.warmup is None else [self.warmup]
        digest = hashlib.sha256(canonical_json(what).encode()).hexdigest()[:16]
        return f"{self.base.name}-tune-{digest}"

    @property
    def metrics(self) -> list[str]:
        """Every metric that a trial needs."""
        return [_signed(name)[1] for name in self.minimise] + [bound.metric for bound in self.bounds]


def _reprs(values: Sequence[Any]) -> list[str]:
    return [repr(value) for value in values]


def _slots(pool: Executor | None, jobs: int) -> int:
    """How many replications run at the same time."""
    count = getattr(pool, "worker_count", None)
    return int(count() if count is not None else getattr(pool, "_max_workers", None) or jobs)


def _tried(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that ended: complete, or pruned because their point lacks a metric."""
    from optuna.trial import TrialState

    return study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])


def _try_points(study: optuna.Study, goal: _Goal, count: int, run: Runner) -> None:
    asked = [study.ask() for _ in range(count)]
    points = [{axis.path: _suggest(trial, axis) for axis in goal.axes} for trial in asked]
    waiting: _Waiting = []
    for trial, point in zip(asked, points, strict=True):
        try:
            waiting.append((trial, goal.base.with_set(point)))
        except InputError as error:
            _prune(study, trial, "no run", error)
    if goal.warmup is not None:
        waiting = _settled(study, waiting, run)
    results = run([scenario for _, scenario in waiting])
    for (trial, _), result in zip(waiting, results, strict=True):
        _tell(study, trial, goal, result)


_Waiting = list[tuple["optuna.Trial", Scenario]]


def _settled(study: optuna.Study, waiting: _Waiting, run: Runner) -> _Waiting:
    """Those that settle, each with its own warm-up: what a trial says does not hang on which were tried beside it."""
    kept: _Waiting = []
    for (trial, scenario), found in zip(waiting, settling_ms([scenario for _, scenario in waiting], run), strict=True):
        if isinstance(found, InputError):
            _prune(study, trial, scenario.run_name, found)
        else:
            kept.append((trial, scenario.with_set({"warmup_ms": found})))
    return kept


def _prune(study: optuna.Study, trial: optuna.Trial, run: str, why: Exception, warnings: Sequence[str] = ()) -> None:
    from optuna.trial import TrialState

    trial.set_user_attr("run", run)
    trial.set_user_attr("warnings", list(warnings))
    trial.set_user_attr("lacks", str(why))
    study.tell(trial, state=TrialState.PRUNED)


def _tell(study: optuna.Study, trial: optuna.Trial, goal: _Goal, result: Result) -> None:
    try:
        objectives = {name: mean_interval(_values(name, result)) for name in goal.minimise}
        excesses = [bound.excess(mean_interval(_values(bound.metric, result)).estimate) for bound in goal.bounds]
    except (InputError, ValueError) as error:
        _prune(study, trial, result.name, error, result.warnings)
        return
    trial.set_user_attr("run", result.name)
    trial.set_user_attr("warnings", result.warnings)
    for bound, excess in zip(goal.bounds, excesses, strict=True):
        trial.set_constraint(f"{bound.metric} {'<=' if bound.at_most else '>='} {bound.limit:g}", excess)
    trial.set_user_attr("intervals", {name: [i.low, i.high, i.n] for name, i in objectives.items()})
    study.tell(trial, [interval.estimate for interval in objectives.values()])


def _signed(name: str) -> tuple[float, str]:
    return (-1.0, name[1:]) if name.startswith("-") else (1.0, name)


def _values(name: str, result: Result) -> list[float]:
    sign, metric = _signed(name)
    return [sign * value for value in Measure(metric).values(result.replications)]


def _suggest(trial: optuna.Trial, axis: Axis) -> Any:
    if axis.values:
        # Optuna keeps texts and numbers; an object or a list goes by its JSON.
        by_choice = {canonical_json(v) if isinstance(v, dict | list) else v: v for v in axis.values}
        return by_choice[trial.suggest_categorical(axis.path, list(by_choice))]
    if axis.whole:
        return trial.suggest_int(axis.path, int(axis.low), int(axis.high), log=axis.log)
    return trial.suggest_float(axis.path, axis.low, axis.high, log=axis.log)


class _HeldLock:
    """Optuna's lock around the journal: the study's folder is locked already, and that lock dies with its process."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


@contextmanager
def _opened(folder: Path, goal: _Goal) -> Iterator[optuna.Study]:
    """The study in its folder, locked; a full disk or an unreadable journal is an :class:`InputError`."""
    journal = folder / "journal.log"
    lock = FolderLock.take(folder, wait=False)
    if lock is None:
        raise InputError(f"{folder}: another process works on this study; wait for it, or give another --out")
    try:
        _drop_torn_line(journal)
        yield _open_study(journal, goal)
    except OSError as error:
        raise storage_error(journal, error) from error
    finally:
        lock.close()


def _drop_torn_line(journal: Path) -> None:
    """A process that was killed while it wrote leaves half a line; the trial that it was about runs again."""
    if not journal.exists():
        return
    data = journal.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(journal, whole)


def _open_study(journal: Path, goal: _Goal) -> optuna.Study:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    backend = JournalFileBackend(str(journal), lock_obj=_HeldLock())  # type: ignore[arg-type]
    try:
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name=goal.study_name,
            load_if_exists=True,
            directions=["minimize"] * len(goal.minimise),
        )
    except (ValueError, KeyError) as error:
        raise InputError(f"{journal}: damaged ({error}); move the folder away and tune again") from None
    # A trial that was running when its process died is not waited for.
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    seed = (goal.base.seed + len(study.get_trials())) % 2**32
    study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    return study


def _collect(study: optuna.Study, goal: _Goal, folder: Path) -> Tuning:
    from optuna.trial import TrialState

    tried = _tried(study)
    done = [t for t in tried if t.state is TrialState.COMPLETE]
    feasible = {t.number for t in done if all(excess <= 0 for excess in t.constraints.values())}
    candidates = [t for t in done if t.number in feasible]
    best = {t.number for t in candidates if not any(_dominates(o.values, t.values) for o in candidates)}
    rows = []
    for t in done:
        intervals = t.user_attrs["intervals"]
        objectives = {
            name: Interval(value, intervals[name][0], intervals[name][1], CONFIDENCE, intervals[name][2])
            for name, value in zip(goal.minimise, t.values, strict=True)
        }
        rows.append(Trial(t.number, t.params, t.user_attrs["run"], objectives, t.number in feasible, t.number in best))
    said = join_warnings([(t.user_attrs["run"], t.user_attrs["warnings"]) for t in tried])
    notes = [f"trial {t.number} ({t.user_attrs['run']}): {t.user_attrs['lacks']}" for t in tried if t not in done]
    return Tuning(study.study_name, tuple(rows), tuple(said), tuple(notes), str(folder))


def _dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def _row(trial: Trial) -> dict[str, Any]:
    row: dict[str, Any] = {"trial": trial.number, **trial.point, "run": trial.run}
    for name, interval in trial.objectives.items():
        row |= interval.columns(name)
    return {**row, "feasible": trial.feasible, "best": trial.best}
