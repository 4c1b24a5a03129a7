"""Comparing policies: the same scenario, seed and replications, difference by difference.

Every random stream is keyed by seed, replication and component name, so replication *i* of two policies sees the same
traffic; the paired difference is then the right statistic, and the variance ratio says what pairing gained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rxpool.errors import InputError
from rxpool.measures import Measure, expand
from rxpool.policy_given import PolicySource
from rxpool.record import Replication
from rxpool.result import Result, uncalibrated
from rxpool.running import run
from rxpool.scenario import ScenarioSource, load
from rxpool.statistics import CONFIDENCE, Difference, holm, independent_difference, paired_difference

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_METRICS = ("packets.delivered", "packets.dropped", "*.page_pool.held_max")
"""What is compared unless told otherwise, beside the scenario's headline."""


@dataclass(frozen=True)
class ComparisonRow:
    """One metric of one policy against the baseline; ``p_holm`` is adjusted over all rows of the comparison."""

    metric: str
    unit: str
    baseline: str
    policy: str
    difference: Difference
    p_holm: float

    @property
    def significant(self) -> bool:
        """Whether the adjusted p-value is below one minus the confidence."""
        return self.p_holm < 1 - self.difference.interval.confidence


@dataclass(frozen=True)
class Comparison:
    """Results of several policies, the first the baseline, and their differences.

    ``paired``: all ran with one seed. ``notes`` says what could not be compared.
    """

    results: tuple[Result, ...]
    rows: tuple[ComparisonRow, ...]
    paired: bool
    notes: tuple[str, ...] = ()

    @property
    def different(self) -> bool:
        """Whether any difference is significant."""
        return any(row.significant for row in self.rows)

    @property
    def uncalibrated(self) -> str:
        """What nobody has fitted to measurements though it is compared here; empty where there is nothing to say."""
        return uncalibrated(self.results)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per metric and policy: means, difference, interval, p-values, variance ratio."""
        import pandas as pd

        return pd.DataFrame([_flat(row) for row in self.rows])

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """All metrics of all results, long form."""
        import pandas as pd

        return pd.concat([r.metrics for r in self.results], ignore_index=True)

    @cached_property
    def values(self) -> pd.DataFrame:
        """What was compared, long form: policy, replication, metric, unit, value; for ``rxpool.plots.policies``."""
        import pandas as pd

        measures = {row.metric: row.unit for row in self.rows}
        return pd.DataFrame(
            [
                {"policy": label, "replication": r.replication, "metric": name, "unit": unit, "value": value}
                for result, label in self._labelled()
                for name, unit in measures.items()
                for r, value in zip(result.replications, Measure(name).values(result.replications), strict=True)
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
        return {
            "schema": 1,
            "paired": self.paired,
            "runs": [{"run": r.name, "policy": label, "fingerprint": r.fingerprint} for r, label in self._labelled()],
            "differences": [_flat(row) for row in self.rows],
            "notes": list(self.notes),
            "uncalibrated": self.uncalibrated,
        }

    def _labelled(self) -> list[tuple[Result, str]]:
        return list(zip(self.results, labels(self.results), strict=True))


def compare(
    source: ScenarioSource,
    policies: Sequence[PolicySource],
    *,
    metrics: Sequence[str] = (),
    set: Mapping[str, Any] | None = None,
    seed: int | None = None,
    replications: int | None = None,
    allow_path: bool = False,
    executor: Executor | None = None,
    jobs: int = 1,
) -> Comparison:
    """Runs one scenario with each policy, the first the baseline, and compares; writes nothing.

    ``metrics`` are names or patterns (:mod:`rxpool.measures`). Raises :class:`InputError`.
    """
    if len(policies) < 2:
        raise InputError("compare needs at least two policies, the first the baseline")
    results = [
        run(
            load(source, set=set, seed=seed, replications=replications, policy=policy, allow_path=allow_path),
            executor=executor,
            jobs=jobs,
        )
        for policy in policies
    ]
    return compare_results(results, metrics)


def compare_results(
    results: Sequence[Result], metrics: Sequence[str] = (), confidence: float = CONFIDENCE
) -> Comparison:
    """Compares finished results, the first the baseline; paired where all have one seed."""
    if len(results) < 2:
        raise InputError("compare needs at least two runs, the first the baseline")
    paired = len({r.scenario.seed for r in results}) == 1
    first = results[0].replications[0]
    chosen = expand(metrics or _default_metrics(results[0], first), first)
    names = labels(results)
    notes: list[str] = [] if paired else ["the runs have different seeds: differences are not paired (Welch)"]
    rows: list[tuple[Measure, str, Difference]] = []
    for measure in chosen:
        for name, other in zip(names[1:], results[1:], strict=True):
            try:
                rows.append((measure, name, _difference(measure, results[0], other, paired, confidence)))
            except ValueError as error:
                notes.append(f"{measure.name}, {name}: not compared: {error}")
    adjusted = holm([difference.p_value for _, _, difference in rows])
    return Comparison(
        tuple(results),
        tuple(
            ComparisonRow(measure.name, measure.unit(first), names[0], name, difference, p)
            for (measure, name, difference), p in zip(rows, adjusted, strict=True)
        ),
        paired,
        tuple(notes),
    )


def labels(results: Sequence[Result]) -> list[str]:
    """Names for results in one table: the policy where that tells them apart, else the run."""
    policies = [r.policy for r in results]
    if len(dict.fromkeys(policies)) == len(policies):
        return policies
    runs = [r.name for r in results]
    return runs if len(dict.fromkeys(runs)) == len(runs) else [f"{i + 1}:{run}" for i, run in enumerate(runs)]


def _difference(measure: Measure, a: Result, b: Result, paired: bool, confidence: float) -> Difference:
    if not paired:
        return independent_difference(measure.values(a.replications), measure.values(b.replications), confidence)
    of_a = {r.replication: r for r in a.replications}
    both = [(of_a[r.replication], r) for r in b.replications if r.replication in of_a]
    if not both:
        raise ValueError("no replication in common")
    return paired_difference([measure.of(x) for x, _ in both], [measure.of(y) for _, y in both], confidence)


def _default_metrics(result: Result, first: Replication) -> list[str]:
    wanted = result.scenario.resolved.get("headline") or {}
    names = []
    if wanted.get("metric"):
        component = wanted.get("component", "")
        names.append(f"{component}.{wanted['metric']}" if component else wanted["metric"])
    names += [n for n in DEFAULT_METRICS if "*" not in n]
    names += [m.name for n in DEFAULT_METRICS if "*" in n for m in _matching(n, first)]
    return list(dict.fromkeys(names))


def _matching(pattern: str, replication: Replication) -> list[Measure]:
    try:
        return expand([pattern], replication)
    except InputError:
        return []


def _flat(row: ComparisonRow) -> dict[str, Any]:
    difference = asdict(row.difference)
    interval = difference.pop("interval")
    return {
        "metric": row.metric,
        "unit": row.unit,
        "baseline": row.baseline,
        "policy": row.policy,
        "n": interval["n"],
        "baseline_mean": difference["baseline"],
        "policy_mean": difference["other"],
        "difference": interval["estimate"],
        "low": interval["low"],
        "high": interval["high"],
        "confidence": interval["confidence"],
        "relative": row.difference.relative,
        "p_value": difference["p_value"],
        "p_holm": row.p_holm,
        "significant": row.significant,
        "variance_ratio": difference["variance_ratio"],
    }
