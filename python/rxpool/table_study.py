"""Tables for people: comparisons, sweeps, tunings and graphs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rxpool.comparing import Comparison, labels
from rxpool.plain import printable
from rxpool.result import Result
from rxpool.statistics import Interval
from rxpool.sweeping import Sweep
from rxpool.table import amount, bounds, new_table, number, percent
from rxpool.topology import Topology
from rxpool.tuning import Tuning

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_comparison(console: Console, comparison: Comparison) -> None:
    """One line per metric and policy: the difference with its interval, Holm's p, what pairing gained."""
    names = labels(comparison.results)
    first = comparison.results[0]
    console.print(
        f"{printable(first.scenario.name)}: {len(first.replications)} replications, baseline {printable(names[0])}"
    )
    table = new_table(
        "metric",
        ["policy", "baseline", "mean", "difference", "95 % interval", "relative", "p (Holm)", "variance ratio"],
    )
    for row in comparison.rows:
        d = row.difference
        table.add_row(
            printable(f"{row.metric} ({row.unit})" if row.unit else row.metric),
            printable(row.policy),
            amount(d.baseline),
            amount(d.other),
            amount(d.interval.estimate) + (" *" if row.significant else ""),
            bounds(d.interval),
            f"{100 * d.relative:+.1f} %" if d.relative == d.relative else "–",
            f"{row.p_holm:.2g}" if row.p_holm == row.p_holm else "–",
            f"{d.variance_ratio:.1f}" if d.variance_ratio == d.variance_ratio else "–",
        )
    console.print(table)
    console.print(comparison.verdict)
    _print_remarks(console, comparison.notes, comparison.warnings)


def print_sweep(console: Console, study: Sweep, metrics: Sequence[str]) -> None:
    """One line per point: the varied keys and each metric's mean with half its 95 % interval."""
    table = new_table("run", [*study.axes, *metrics])
    for point, result in zip(study.points, study.results, strict=True):
        cells = [_cell(point[axis]) for axis in study.axes]
        table.add_row(printable(result.name), *cells, *(_mean(study.interval(result, m)) for m in metrics))
    console.print(table)
    if study.path:
        console.print(f"points in {printable(study.path)}")
    _print_remarks(console, study.notes(metrics), study.warnings)


def print_tuning(console: Console, study: Tuning) -> None:
    """The best trials (the Pareto front where there are several objectives)."""
    console.print(f"{printable(study.name)}: {len(study.trials)} trials, {len(study.best)} of them best")
    if study.best:
        console.print(_best_trials(study))
    else:
        console.print("no trial satisfies every condition")
    if study.path:
        console.print(f"trials in {printable(study.path)}")
    _print_remarks(console, study.notes, study.warnings)


def _best_trials(study: Tuning) -> Table:
    keys = list(study.best[0].point)
    table = new_table("trial", [*keys, *study.best[0].objectives, "run"])
    for trial in study.best:
        values = [_cell(trial.point[key]) for key in keys]
        table.add_row(str(trial.number), *values, *map(_mean, trial.objectives.values()), printable(trial.run))
    return table


def print_topology(console: Console, topology: Topology, result: Result) -> None:
    """Every stage with its load and capacity, the prediction, and whether the run agreed."""
    table = new_table("stage", ["kind", "packets/s", "capacity", "ns per packet", "utilisation"])
    for stage in topology.stages:
        table.add_row(
            printable(stage.component),
            stage.kind,
            number(stage.offered_pps, 0),
            "–" if math.isinf(stage.capacity_pps) else number(stage.capacity_pps, 0),
            number(stage.demand_ns, 1) if stage.demand_ns else "–",
            "–" if stage.kind in ("source", "queue") else percent(100 * stage.utilisation),
        )
    console.print(table)
    console.print(f"predicted: {printable(topology.predicted[1])}")
    console.print(printable(topology.verdict(result)))
    _print_remarks(console, (), result.warnings)


def _print_remarks(console: Console, notes: Sequence[str], warnings: Sequence[str]) -> None:
    for note in notes:
        console.print(f"note: {printable(note)}")
    for warning in warnings:
        console.print(f"warning: {printable(warning)}")


def _mean(interval: Interval) -> str:
    return amount(interval.estimate) + ("" if interval.n <= 1 else f" ± {amount(interval.half_width)}")


def _cell(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else printable(str(value))
