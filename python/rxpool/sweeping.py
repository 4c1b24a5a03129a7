"""Sweeping over scenario keys: a grid, random points, a Latin hypercube or a Sobol sequence (``scipy.stats.qmc``).

Every point keeps the seed, so neighbours see the same traffic and differ only by what was varied.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from rxpool.censored import STARTED_BY, censored_times
from rxpool.errors import InputError
from rxpool.files import write_atomic
from rxpool.measures import Measure, check_names, expand_over
from rxpool.plain import choice, listed
from rxpool.record import Replication
from rxpool.result import Result, uncalibrated, warnings
from rxpool.running import run_scenarios
from rxpool.sampling import Sampling
from rxpool.scenario import Scenario, ScenarioSource, canonical_json, load, parse_value
from rxpool.statistics import CONFIDENCE, Interval, mean_interval
from rxpool.warm_up import WarmUpRule, warmed_up

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from rxpool.sequential import Runner
    from rxpool.store import Store
    from rxpool.study import Watcher


@dataclass(frozen=True)
class Axis:
    """One key that is varied: a list of values, or a range (of whole numbers if both ends are)."""

    path: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @classmethod
    def parse(cls, text: str) -> Axis:
        """Reads ``path=a,b,c``, a JSON list ``path=[…]``, ``path=low:high`` or ``path=low:high:log``.

        Raises :class:`InputError`.
        """
        path, equals, spec = text.partition("=")
        parts = spec.split(":")
        if not equals or not path or not spec:
            raise InputError(f"--vary {text}: write it as path=a,b,c or path=low:high[:log]")
        listed_values = parse_value(spec) if spec.startswith("[") else None
        if isinstance(listed_values, list) and listed_values:
            return cls(path, tuple(listed_values))
        if len(parts) == 1:
            values = tuple(parse_value(value) for value in spec.split(","))
            if not all(_is_finite(value) for value in values):
                raise InputError(f"--vary {text}: a value is not a finite number")
            return cls(path, values)
        ends = [parse_value(value) for value in parts[:2]]
        log = parts[2:] == ["log"]
        numbers = all(_is_number(end) and _is_finite(end) for end in ends)
        if len(parts) > 3 or (len(parts) == 3 and not log) or not numbers:
            raise InputError(f"--vary {text}: a range is low:high or low:high:log, with finite numbers")
        low, high = float(ends[0]), float(ends[1])
        if not low < high or (log and low <= 0):
            raise InputError(f"--vary {text}: the range is empty" + (" or not positive" if log else ""))
        return cls(path, (), low, high, log, all(isinstance(end, int) for end in ends))

    def at(self, u: float) -> Any:
        """The value at ``u`` in [0, 1)."""
        if self.values:
            return self.values[min(int(u * len(self.values)), len(self.values) - 1)]
        if self.whole and not self.log:
            return min(int(self.low + u * (self.high - self.low + 1)), int(self.high))
        value = self.low * (self.high / self.low) ** u if self.log else self.low + u * (self.high - self.low)
        return round(value) if self.whole else value


@dataclass(frozen=True)
class Sweep:
    """The points of a sweep and their results, in one order.

    ``path`` is the folder in the store that holds the table of points.
    """

    axes: tuple[str, ...]
    points: tuple[Mapping[str, Any], ...]
    results: tuple[Result, ...]
    path: str | None = None

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """All metrics, long form, with one more column per varied key."""
        import pandas as pd

        frames = [r.metrics.assign(**_cells(point)) for r, point in zip(self.results, self.points, strict=True)]
        return pd.concat(frames, ignore_index=True)

    def frame(self, metrics: Sequence[str]) -> pd.DataFrame:
        """One row per point: the varied keys, run, replications, and mean, low, high of each metric.

        A bound that one replication cannot give, and a metric that a point lacks, are not a number.
        """
        import pandas as pd

        rows = []
        for point, result in zip(self.points, self.results, strict=True):
            row: dict[str, Any] = {**_cells(point), "run": result.name, "replications": len(result.replications)}
            for metric in metrics:
                row |= self.interval(result, metric).columns(metric)
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def firsts(self) -> list[Replication]:
        """The first replication of every point: which metrics there are."""
        return [result.replications[0] for result in self.results]

    def notes(self, metrics: Sequence[str]) -> list[str]:
        """Which points lack one of these metrics or have no number for it; of a time to an event, what they tell."""
        said = []
        for metric in metrics:
            if metric.rpartition(".")[2] in STARTED_BY:
                said += [f"{r.name}: {metric}: {s}" for r in self.results if (s := _censored_sentence(metric, r))]
                continue
            lacking = [result.name for result in self.results if self.interval(result, metric).n == 0]
            if lacking:
                said.append(f"{metric}: no number in {listed(lacking)}")
        return said

    @cached_property
    def warnings(self) -> list[str]:
        """What the points' runs warn of, each sentence once."""
        return warnings(self.results)

    @property
    def uncalibrated(self) -> str:
        """What nobody has fitted to measurements though a point rests on it; empty where there is nothing to say."""
        return uncalibrated(self.warnings)

    def to_dict(self, metrics: Sequence[str]) -> dict[str, Any]:
        """The points with each metric's mean and interval, as plain values."""
        rows = []
        for point, result in zip(self.points, self.results, strict=True):
            intervals = {metric: asdict(self.interval(result, metric)) for metric in metrics}
            row = {"run": result.name, "fingerprint": result.fingerprint, "point": dict(point), "metrics": intervals}
            rows.append(row)
        return {
            "schema": 1,
            "study": self.path,
            "axes": list(self.axes),
            "points": rows,
            "notes": self.notes(metrics),
            "warnings": self.warnings,
            "uncalibrated": self.uncalibrated,
        }

    @staticmethod
    def interval(result: Result, metric: str) -> Interval:
        """One metric's mean over the replications of a point, with its interval; of none where the point lacks it."""
        try:
            return mean_interval(Measure(metric).values(result.replications))
        except (InputError, ValueError):
            return Interval(math.nan, math.nan, math.nan, CONFIDENCE, 0)


def _censored_sentence(metric: str, result: Result) -> str:
    """What a point tells of a time that did not end in every replication; empty where a mean says it all."""
    try:
        times = censored_times(metric, result)
    except InputError:  # the point lacks the metric
        return "no such metric"
    complete = times is None or (all(times.happened) and len(times.happened) == len(result.replications))
    return "" if times is None or complete else times.sentence()


def points(
    axes: Sequence[Axis], sampling: Sampling = Sampling.GRID, count: int | None = None, seed: int = 1
) -> list[dict[str, Any]]:
    """The points of a sweep: all combinations, or ``count`` points drawn with ``seed``; each point once.

    Raises :class:`InputError` for axes and a sampling that do not go together.
    """
    check_axes(axes)
    sampling = choice(Sampling, sampling, "sampling")
    if sampling is Sampling.GRID:
        ranges = [axis.path for axis in axes if not axis.values]
        if ranges:
            raise InputError(f"--vary {ranges[0]}: a grid needs a list of values; a range goes with --sampling lhs")
        if count is not None:
            raise InputError("--points goes with --sampling random, lhs or sobol")
        grid = itertools.product(*(axis.values for axis in axes))
        return _each_once(dict(zip((axis.path for axis in axes), values, strict=True)) for values in grid)
    if count is None or count < 1:
        raise InputError(f"--sampling {sampling} needs --points N")
    unit = _unit_points(sampling, len(axes), count, seed)
    return _each_once({axis.path: axis.at(float(u)) for axis, u in zip(axes, row, strict=True)} for row in unit)


def as_axes(axes: Sequence[Axis] | Mapping[str, Sequence[Any]]) -> Sequence[Axis]:
    """Axes as they are, or from lists of values by dotted path."""
    if isinstance(axes, Mapping):
        return [Axis(path, tuple(values)) for path, values in axes.items()]
    return axes


def check_axes(axes: Sequence[Axis], warmup: WarmUpRule | None = None) -> None:
    """Raises :class:`InputError` unless at least one key is varied, none twice, and none that the warm-up rule sets."""
    if not axes:
        raise InputError("vary at least one key: --vary path=a,b,c")
    paths = [axis.path for axis in axes]
    twice = [path for path in dict.fromkeys(paths) if paths.count(path) > 1]
    if twice:
        raise InputError(f"--vary {twice[0]}: the same key twice; give all its values in one --vary")
    if "replications" in paths:
        raise InputError("--vary replications: the number of replications is no part of a run; give --replications")
    if warmup is not None and "warmup_ms" in paths:
        raise InputError("--vary warmup_ms does not go with --warmup, which sets it")


def _each_once(points: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({canonical_json(point): point for point in points}.values())


def sweep(
    source: ScenarioSource,
    axes: Sequence[Axis] | Mapping[str, Sequence[Any]],
    *,
    sampling: Sampling = Sampling.GRID,
    count: int | None = None,
    store: Store | None = None,
    executor: Executor | None = None,
    jobs: int = 1,
    fresh: bool = False,
    watcher: Watcher | None = None,
    metrics: Sequence[str] = (),
    warmup: WarmUpRule | None = None,
    **options: Any,
) -> Sweep:
    """Runs every point of a sweep; into ``store`` where one is given, else purely.

    ``axes`` are :class:`Axis` objects, or lists of values by dotted path; ``metrics`` are names that the first
    replication is asked for, so that a mistyped one costs no more; ``warmup`` finds one cut for all points by a first
    run of each (:func:`rxpool.warm_up.warmed_up`); ``options`` are those of :func:`rxpool.load` (``set``, ``seed``,
    ``replications``, ``policy``, ``allow_path``). Raises :class:`InputError`.
    """
    axes = as_axes(axes)
    check_axes(axes, warmup)
    base = load(source, **options)
    chosen = points(axes, sampling, count, base.seed)
    scenarios = [base.with_set(point) for point in chosen]
    path = None
    if store is None:
        run: Runner = partial(run_scenarios, executor=executor, jobs=jobs)
        results = run(warmed_up(scenarios, warmup, run))
        for name in metrics:
            expand_over([name], [result.replications[0] for result in results])
    else:
        from rxpool.study import run_stored

        check = partial(check_names, metrics)
        stored = partial(run_stored, store=store, jobs=jobs, executor=executor, watcher=watcher, check=check)
        scenarios = warmed_up(scenarios, warmup, stored)
        path = _write_study(store, base, chosen, scenarios)
        results = stored(scenarios, fresh=fresh)
    return Sweep(tuple(axis.path for axis in axes), tuple(chosen), tuple(results), path)


def _write_study(store: Store, base: Scenario, chosen: Sequence[Mapping[str, Any]], runs: Sequence[Scenario]) -> str:
    """``points.parquet`` in the study's folder: the varied keys of every run, to be joined on ``run``."""
    import pyarrow as pa

    from rxpool.store import parquet_bytes

    columns: dict[str, Any] = {"run": [scenario.run_name for scenario in runs]}
    columns |= {path: _column([point[path] for point in chosen]) for path in chosen[0]}
    digest = hashlib.sha256(canonical_json([base.digest, list(chosen)]).encode()).hexdigest()[:16]
    folder = store.study_folder(f"{base.name}-sweep-{digest}")
    write_atomic(folder / "points.parquet", parquet_bytes(pa.table(columns)))
    return str(folder)


def _column(values: Sequence[Any]) -> pa.Array:
    """A varied key's values as one column: numbers, texts or truth values as they are, anything else as JSON."""
    import pyarrow as pa

    types = {type(value) for value in values}
    if types == {int}:
        if all(-(2**63) <= value < 2**63 for value in values):
            return pa.array(values, pa.int64())
        if all(0 <= value < 2**64 for value in values):
            return pa.array(values, pa.uint64())
    elif types <= {int, float}:
        return pa.array([float(value) for value in values], pa.float64())
    elif types in ({str}, {bool}):
        return pa.array(values)
    return pa.array([canonical_json(value) for value in values], pa.string())


def _cells(point: Mapping[str, Any]) -> dict[str, Any]:
    """A point's values as a frame takes them: objects and lists as JSON."""
    return {key: canonical_json(v) if isinstance(v, dict | list) else v for key, v in point.items()}


def _unit_points(sampling: Sampling, dimensions: int, count: int, seed: int) -> Any:
    import numpy as np
    from scipy.stats import qmc

    if sampling is Sampling.RANDOM:
        return np.random.default_rng(seed).random((count, dimensions))
    if sampling is Sampling.LHS:
        return qmc.LatinHypercube(dimensions, rng=np.random.default_rng(seed)).random(count)
    # Sobol points are balanced in whole powers of two; of more than asked, the first ones are kept.
    sequence = qmc.Sobol(dimensions, rng=np.random.default_rng(seed))
    return sequence.random_base2(max(1, math.ceil(math.log2(count))))[:count]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    """False for a number that is infinite, no number, or beyond what a double holds."""
    try:
        return not _is_number(value) or math.isfinite(float(value))
    except OverflowError:
        return False
