"""Sweeping over scenario keys: a grid, random points, a Latin hypercube or a Sobol sequence (``scipy.stats.qmc``).

Every point keeps the seed, so neighbours see the same traffic and differ only by what was varied.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rxpool.errors import InputError
from rxpool.files import write_atomic
from rxpool.measures import Measure
from rxpool.record import Replication
from rxpool.result import Result, uncalibrated
from rxpool.running import run_scenarios
from rxpool.sampling import Sampling
from rxpool.scenario import Scenario, ScenarioSource, canonical_json, load, parse_value
from rxpool.statistics import Interval, mean_interval

if TYPE_CHECKING:
    import pandas as pd

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
        """Reads ``path=a,b,c``, ``path=low:high`` or ``path=low:high:log``. Raises :class:`InputError`."""
        path, equals, spec = text.partition("=")
        parts = spec.split(":")
        if not equals or not path or not spec:
            raise InputError(f"--vary {text}: write it as path=a,b,c or path=low:high[:log]")
        if len(parts) == 1:
            return cls(path, tuple(parse_value(value) for value in spec.split(",")))
        ends = [parse_value(value) for value in parts[:2]]
        log = parts[2:] == ["log"]
        if len(parts) > 3 or (len(parts) == 3 and not log) or not all(_is_number(end) for end in ends):
            raise InputError(f"--vary {text}: a range is low:high or low:high:log, with numbers")
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
    """The points of a sweep and their results, in one order."""

    axes: tuple[str, ...]
    points: tuple[Mapping[str, Any], ...]
    results: tuple[Result, ...]

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """All metrics, long form, with one more column per varied key."""
        import pandas as pd

        frames = [r.metrics.assign(**point) for r, point in zip(self.results, self.points, strict=True)]
        return pd.concat(frames, ignore_index=True)

    def frame(self, metrics: Sequence[str]) -> pd.DataFrame:
        """One row per point: the varied keys, run, replications, and mean, low, high of each metric."""
        import pandas as pd

        rows = []
        for point, result in zip(self.points, self.results, strict=True):
            row: dict[str, Any] = {**point, "run": result.name, "replications": len(result.replications)}
            for metric in metrics:
                interval = self.interval(result, metric)
                row |= {metric: interval.estimate, f"{metric} low": interval.low, f"{metric} high": interval.high}
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def first(self) -> Replication:
        """The first replication of the first point: which metrics there are."""
        return self.results[0].replications[0]

    @property
    def uncalibrated(self) -> str:
        """What nobody has fitted to measurements though a point rests on it; empty where there is nothing to say."""
        return uncalibrated(self.results)

    def to_dict(self, metrics: Sequence[str]) -> dict[str, Any]:
        """The points with each metric's mean and interval, as plain values."""
        rows = []
        for point, result in zip(self.points, self.results, strict=True):
            intervals = {metric: asdict(self.interval(result, metric)) for metric in metrics}
            row = {"run": result.name, "fingerprint": result.fingerprint, "point": dict(point), "metrics": intervals}
            rows.append(row)
        return {"schema": 1, "axes": list(self.axes), "points": rows, "uncalibrated": self.uncalibrated}

    @staticmethod
    def interval(result: Result, metric: str) -> Interval:
        """One metric's mean over the replications of a point, with its interval."""
        return mean_interval(Measure(metric).values(result.replications))


def points(
    axes: Sequence[Axis], sampling: Sampling = Sampling.GRID, count: int | None = None, seed: int = 1
) -> list[dict[str, Any]]:
    """The points of a sweep: all combinations, or ``count`` points drawn with ``seed``; each point once."""
    if not axes:
        raise InputError("a sweep varies at least one key: --vary path=a,b,c")
    if sampling is Sampling.GRID:
        ranges = [axis.path for axis in axes if not axis.values]
        if ranges:
            raise InputError(f"--vary {ranges[0]}: a grid needs a list of values; a range goes with --sampling lhs")
        if count is not None:
            raise InputError("--points goes with --sampling random, lhs or sobol")
        return [
            dict(zip((axis.path for axis in axes), values, strict=True))
            for values in itertools.product(*(axis.values for axis in axes))
        ]
    if count is None or count < 1:
        raise InputError(f"--sampling {sampling} needs --points N")
    unit = _unit_points(sampling, len(axes), count, seed)
    drawn = [{axis.path: axis.at(float(u)) for axis, u in zip(axes, row, strict=True)} for row in unit]
    return list({canonical_json(point): point for point in drawn}.values())


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
    **options: Any,
) -> Sweep:
    """Runs every point of a sweep; into ``store`` where one is given, else purely.

    ``axes`` are :class:`Axis` objects, or lists of values by dotted path; ``options`` are those of
    :func:`rxpool.load` (``set``, ``seed``, ``replications``, ``policy``, ``allow_path``). Raises :class:`InputError`.
    """
    if isinstance(axes, Mapping):
        axes = [Axis(path, tuple(values)) for path, values in axes.items()]
    base = load(source, **options)
    chosen = points(axes, sampling, count, base.seed)
    scenarios = [base.with_set(point) for point in chosen]
    if store is None:
        results = run_scenarios(scenarios, executor=executor, jobs=jobs)
    else:
        from rxpool.study import run_stored

        _write_study(store, base, chosen, scenarios)
        results = run_stored(scenarios, store, jobs=jobs, executor=executor, fresh=fresh, watcher=watcher)
    return Sweep(tuple(axis.path for axis in axes), tuple(chosen), tuple(results))


def _write_study(store: Store, base: Scenario, chosen: Sequence[Mapping[str, Any]], runs: Sequence[Scenario]) -> None:
    """``<stem>-sweep-<16 hex>/points.parquet``: the varied keys of every run, to be joined on ``run``."""
    import pyarrow as pa

    from rxpool.store import make_folder, parquet_bytes

    columns: dict[str, list[Any]] = {"run": [scenario.run_name for scenario in runs]}
    for path in chosen[0]:
        values = [point[path] for point in chosen]
        mixed = len({type(value) for value in values} - {int, float}) > 0 and len({type(v) for v in values}) > 1
        columns[path] = [canonical_json(value) for value in values] if mixed else values
    digest = hashlib.sha256(canonical_json([base.digest, list(chosen)]).encode()).hexdigest()[:16]
    folder = make_folder(store.root / f"{base.name}-sweep-{digest}")
    write_atomic(folder / "points.parquet", parquet_bytes(pa.table(columns)))


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
