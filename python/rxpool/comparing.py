"""Comparing policies: the same scenario, seed and replications, difference by difference.

Every random stream is keyed by seed, replication and component name, so replication *i* of two policies sees the same
traffic; the paired difference is then the right statistic, and the variance ratio says what pairing gained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from rxpool.censored import censored_times
from rxpool.errors import InputError
from rxpool.measures import Measure, expand, expand_over, headline_name
from rxpool.plain import listed
from rxpool.policy_given import PolicySource
from rxpool.record import Replication
from rxpool.result import Result, uncalibrated, warnings
from rxpool.running import run_scenarios
from rxpool.scenario import ScenarioSource, load
from rxpool.statistics import CONFIDENCE, Difference, holm, independent_difference, log_rank, paired_difference
from rxpool.warm_up import WarmUpRule, warmed_up

if TYPE_CHECKING:
    import pandas as pd

    from rxpool.sequential import Runner
    from rxpool.store import Store

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
    def tested(self) -> bool:
        """Whether there were replications enough for a test."""
        return not math.isnan(self.p_holm)

    @property
    def significant(self) -> bool:
        """Whether the adjusted p-value is below one minus the confidence; false where nothing was tested."""
        return self.p_holm < 1 - self.difference.interval.confidence


@dataclass(frozen=True)
class Comparison:
    """Results of several policies, the first the baseline, and their differences.

    ``paired``: all ran with one seed on the same traffic. ``notes`` says what could not be compared, and what differs
    beside the policies.
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
    def verdict(self) -> str:
        """One sentence: whether any difference is significant, or why nothing could be tested."""
        if not self.rows:
            return "nothing could be compared"
        if not any(row.tested for row in self.rows):
            return "one replication: nothing can be tested, give --replications"
        return (
            "differences marked * are significant after Holm's adjustment over all lines"
            if self.different
            else "no difference is significant"
        )

    @cached_property
    def warnings(self) -> list[str]:
        """What the compared runs warn of, each sentence once."""
        return warnings(self.results)

    @property
    def uncalibrated(self) -> str:
        """What nobody has fitted to measurements though it is compared here; empty where there is nothing to say."""
        return uncalibrated(self.warnings)

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
                for r, value in _known_values(name, result)
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
        return {
            "schema": 1,
            "paired": self.paired,
            "runs": [{"run": r.name, "policy": label, "fingerprint": r.fingerprint} for r, label in self._labelled()],
            "differences": [_flat(row) for row in self.rows],
            "verdict": self.verdict,
            "notes": list(self.notes),
            "warnings": self.warnings,
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
    warmup: WarmUpRule | None = None,
    store: Store | None = None,
    executor: Executor | None = None,
    jobs: int = 1,
) -> Comparison:
    """Runs one scenario with each policy, the first the baseline, and compares; into ``store`` where one is given.

    ``policies`` are names (``drop``, ``nic0=drop``), files (``.bpf.c``, ``.bpf.o``), :class:`rxpool.Policy` objects or
    functions (:mod:`rxpool.policy_given`); ``metrics`` are names or patterns (:mod:`rxpool.measures`); ``warmup`` finds
    the cut by a first run of each policy (:func:`rxpool.warm_up.warmed_up`). Raises :class:`InputError`.
    """
    if len(policies) < 2:
        raise InputError("compare needs at least two policies, the first the baseline")
    scenarios = [
        load(source, set=set, seed=seed, replications=replications, policy=policy, allow_path=allow_path)
        for policy in policies
    ]
    run: Runner = partial(run_scenarios, executor=executor, jobs=jobs)
    if store is not None:
        from rxpool.study import run_stored

        run = partial(run_stored, store=store, executor=executor, jobs=jobs)
    return compare_results(run(warmed_up(scenarios, warmup, run)), metrics)


def compare_results(
    results: Sequence[Result], metrics: Sequence[str] = (), confidence: float = CONFIDENCE
) -> Comparison:
    """Compares finished results, the first the baseline; paired where all have one seed and the same traffic.

    Raises :class:`InputError` for fewer than two, or for a metric that none of them has.
    """
    if len(results) < 2:
        raise InputError("compare needs at least two runs, the first the baseline")
    same_seed = len({r.scenario.seed for r in results}) == 1
    same_traffic = all(_traffic(r) == _traffic(results[0]) for r in results)
    firsts = [r.replications[0] for r in results]
    first = firsts[0]
    chosen = expand_over(metrics or _default_metrics(results[0], first), firsts)
    names = labels(results)
    notes: list[str] = []
    if not same_seed:
        notes.append("the runs have different seeds: differences are not paired (Welch)")
    if not same_traffic:
        notes.append("the runs have different traffic: differences are not paired (Welch)")
    differing = _differing_keys(results)
    if differing:
        notes.append(f"not the policies alone: the scenarios differ in {listed(differing, 6)}")
    rows: list[tuple[Measure, str, Difference]] = []
    for measure in chosen:
        for name, other in zip(names[1:], results[1:], strict=True):
            try:
                rows.append((measure, name, difference(measure, results[0], other, confidence)))
            except (ValueError, InputError) as error:
                why = _censored(measure.name, results[0], other) or str(error)
                notes.append(f"{measure.name}, {name}: not compared: {why}")
    adjusted = holm([found.p_value for _, _, found in rows])
    return Comparison(
        tuple(results),
        tuple(
            ComparisonRow(measure.name, measure.unit(first), names[0], name, found, p)
            for (measure, name, found), p in zip(rows, adjusted, strict=True)
        ),
        same_seed and same_traffic,
        tuple(notes),
    )


def _censored(name: str, baseline: Result, other: Result) -> str:
    """What can be said of a time that did not end in every replication; empty for any other metric."""
    try:
        times = [censored_times(name, result) for result in (baseline, other)]
    except InputError:  # one of them lacks the metric
        return ""
    first, second = times
    if first is None or second is None:
        return ""
    chance = log_rank((first.times_ms, first.happened), (second.times_ms, second.happened))
    test = "" if math.isnan(chance) else f"; log-rank p = {chance:.3g}"
    return f"{second.sentence()}; with the baseline, {first.sentence()}{test}"


def labels(results: Sequence[Result]) -> list[str]:
    """Names for results in one table: the policy where that tells them apart and nothing else does, else the run."""
    policies = [r.policy for r in results]
    if len(dict.fromkeys(policies)) == len(policies) and not _differing_keys(results):
        return policies
    runs = [r.name for r in results]
    return runs if len(dict.fromkeys(runs)) == len(runs) else [f"{i + 1}:{run}" for i, run in enumerate(runs)]


def _traffic(result: Result) -> Any:
    """What decides which packets come: the sources, and the bytes of the captures among them."""
    traffic = result.scenario.resolved.get("traffic") or {}
    captures = {source.get("file") for source in traffic.values()} & result.scenario.file_digests.keys()
    return traffic, {name: result.scenario.file_digests[name] for name in captures}


def _differing_keys(results: Sequence[Result]) -> list[str]:
    """Keys, beside the policies and the seed, in which some scenario is not the first one's; files changed since."""
    flat = [dict(_leaves(r.scenario.content())) for r in results]
    keys = dict.fromkeys(key for one in flat for key in one)
    differing = [key for key in keys if any(one.get(key, _ABSENT) != flat[0].get(key, _ABSENT) for one in flat)]
    files = [r.scenario.file_digests for r in results]
    common = [name for name in files[0] if all(name in one for one in files)]
    return differing + [f"what is in {name}" for name in common if any(one[name] != files[0][name] for one in files)]


_ABSENT = object()


def _leaves(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if not above and key in ("policies", "seed"):
            continue
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, f"{above}{key}.")
        else:
            yield f"{above}{key}", inner


def _known_values(name: str, result: Result) -> list[tuple[Replication, float]]:
    """One metric's value in every replication; nothing for a run that lacks it."""
    try:
        return [(r, Measure(name).of(r)) for r in result.replications]
    except InputError:
        return []


def difference(measure: Measure, a: Result, b: Result, confidence: float = CONFIDENCE) -> Difference:
    """``b`` minus ``a``: paired where both saw the same packets, else Welch's.

    Raises ``ValueError`` for values that are no numbers, and :class:`InputError` for a metric that one of them lacks.
    """
    if a.scenario.seed != b.scenario.seed or _traffic(a) != _traffic(b):
        return independent_difference(measure.values(a.replications), measure.values(b.replications), confidence)
    of_a = {r.replication: r for r in a.replications}
    both = [(of_a[r.replication], r) for r in b.replications if r.replication in of_a]
    if not both:
        raise ValueError("no replication in common")
    return paired_difference([measure.of(x) for x, _ in both], [measure.of(y) for _, y in both], confidence)


def _default_metrics(result: Result, first: Replication) -> list[str]:
    names = [name] if (name := headline_name(result.scenario.resolved)) else []
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
        "significant": row.significant if row.tested else None,
        "variance_ratio": difference["variance_ratio"],
    }
