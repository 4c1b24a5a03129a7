"""Tuning scenario keys with Optuna: minimise metrics, subject to bounds, resumable.

A trial is one point; its replications are kept in the store like any other run's, so a trial that comes up again costs
nothing. The study's journal is a text file in the store, so an interrupted tuning goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rxpool.errors import InputError
from rxpool.measures import Measure
from rxpool.result import Result
from rxpool.scenario import Scenario, ScenarioSource, canonical_json, load
from rxpool.statistics import CONFIDENCE, Interval, mean_interval
from rxpool.store import Store, make_folder
from rxpool.study import Watcher, run_stored
from rxpool.sweeping import Axis

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
            if match is None:
                raise ValueError
            return cls(match[1], float(match[3]), match[2] == "<=")
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
    """All trials; ``best`` are those on the Pareto front (one for a single objective)."""

    name: str
    trials: tuple[Trial, ...]
    uncalibrated: str = ""
    """What nobody has fitted to measurements though a trial rests on it; empty where there is nothing to say."""

    @property
    def best(self) -> list[Trial]:
        """The feasible trials that no other one beats in every objective."""
        return [trial for trial in self.trials if trial.best]

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
            "trials": [_row(trial) for trial in self.trials],
            "uncalibrated": self.uncalibrated,
        }


def tune(
    source: ScenarioSource,
    axes: Sequence[Axis],
    *,
    minimise: Sequence[str],
    subject_to: Sequence[str | Bound] = (),
    trials: int = 50,
    store: Store | None = None,
    executor: Executor | None = None,
    jobs: int = 1,
    watcher: Watcher | None = None,
    **options: Any,
) -> Tuning:
    """Tries points until the study has ``trials`` of them and returns all; ``-metric`` in ``minimise`` maximises.

    ``options`` are those of :func:`rxpool.load`. Raises :class:`InputError`.
    """
    try:
        from optuna.trial import TrialState
    except ImportError:
        raise InputError("tune needs the package optuna: pip install 'rxpool[tune]'") from None
    if not axes or not minimise:
        raise InputError("tune needs at least one --vary and one --minimise")
    store = store or Store()
    base = load(source, **options)
    bounds = [b if isinstance(b, Bound) else Bound.parse(b) for b in subject_to]
    study = _open_study(base, axes, minimise, bounds, store)
    while len(study.get_trials(states=[TrialState.COMPLETE])) < trials:
        _one_trial(study, base, axes, minimise, bounds, lambda s: _run(s, store, executor, jobs, watcher))
    return _collect(study, minimise)


def _run(scenario: Scenario, store: Store, executor: Executor | None, jobs: int, watcher: Watcher | None) -> Result:
    return run_stored([scenario], store, executor=executor, jobs=jobs, watcher=watcher)[0]


def _one_trial(
    study: optuna.Study,
    base: Scenario,
    axes: Sequence[Axis],
    minimise: Sequence[str],
    bounds: Sequence[Bound],
    run: Callable[[Scenario], Result],
) -> None:
    trial = study.ask()
    point = {axis.path: _suggest(trial, axis) for axis in axes}
    result = run(base.with_set(point))
    objectives = {name: mean_interval(_values(name, result)) for name in minimise}
    for bound in bounds:
        excess = bound.excess(mean_interval(_values(bound.metric, result)).estimate)
        trial.set_constraint(f"{bound.metric} {'<=' if bound.at_most else '>='} {bound.limit:g}", excess)
    trial.set_user_attr("run", result.name)
    trial.set_user_attr("uncalibrated", result.uncalibrated)
    trial.set_user_attr("intervals", {name: [i.low, i.high, i.n] for name, i in objectives.items()})
    study.tell(trial, [interval.estimate for interval in objectives.values()])


def _values(name: str, result: Result) -> list[float]:
    sign, metric = (-1.0, name[1:]) if name.startswith("-") else (1.0, name)
    return [sign * value for value in Measure(metric).values(result.replications)]


def _suggest(trial: optuna.Trial, axis: Axis) -> Any:
    if axis.values:
        return trial.suggest_categorical(axis.path, list(axis.values))
    if axis.whole:
        return trial.suggest_int(axis.path, int(axis.low), int(axis.high), log=axis.log)
    return trial.suggest_float(axis.path, axis.low, axis.high, log=axis.log)


def _open_study(
    base: Scenario,
    axes: Sequence[Axis],
    minimise: Sequence[str],
    bounds: Sequence[Bound],
    store: Store,
) -> optuna.Study:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(logging.WARNING)
    what = [base.digest, base.replications, [repr(a) for a in axes], list(minimise), [repr(b) for b in bounds]]
    digest = hashlib.sha256(canonical_json(what).encode()).hexdigest()[:16]
    name = f"{base.name}-tune-{digest}"
    folder = make_folder(store.root / name)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / "journal.log")))
    study = optuna.create_study(
        storage=storage, study_name=name, load_if_exists=True, directions=["minimize"] * len(minimise)
    )
    # A trial that was running when its process died is not waited for.
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    study.sampler = optuna.samplers.TPESampler(seed=base.seed + len(study.get_trials()), multivariate=True)
    return study


def _collect(study: optuna.Study, minimise: Sequence[str]) -> Tuning:
    from optuna.trial import TrialState

    done = study.get_trials(states=[TrialState.COMPLETE])
    feasible = {t.number for t in done if all(excess <= 0 for excess in t.constraints.values())}
    candidates = [t for t in done if t.number in feasible]
    best = {t.number for t in candidates if not any(_dominates(o.values, t.values) for o in candidates)}
    rows = []
    for t in done:
        intervals = t.user_attrs["intervals"]
        objectives = {
            name: Interval(value, intervals[name][0], intervals[name][1], CONFIDENCE, intervals[name][2])
            for name, value in zip(minimise, t.values, strict=True)
        }
        rows.append(Trial(t.number, t.params, t.user_attrs["run"], objectives, t.number in feasible, t.number in best))
    said = dict.fromkeys(t.user_attrs["uncalibrated"] for t in done)
    return Tuning(study.study_name, tuple(rows), " ".join(filter(None, said)))


def _dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def _row(trial: Trial) -> dict[str, Any]:
    row: dict[str, Any] = {"trial": trial.number, **trial.point, "run": trial.run}
    for name, interval in trial.objectives.items():
        row |= {name: interval.estimate, f"{name} low": interval.low, f"{name} high": interval.high}
    return {**row, "feasible": trial.feasible, "best": trial.best}
