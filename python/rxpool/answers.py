"""One sentence with its interval: what a run, a comparison or a sweep answers."""

from __future__ import annotations

from collections.abc import Sequence

from rxpool.comparing import Comparison, difference
from rxpool.errors import InputError
from rxpool.measures import Measure, dropped, full_name
from rxpool.result import Result
from rxpool.statistics import CONFIDENCE, holm, mean_interval, zero_bound
from rxpool.sweeping import Sweep
from rxpool.table import amount, bounds


def of_result(result: Result) -> str:
    """The headline with its interval; where the scenario names none, the share of packets that was dropped."""
    headline = result.headline
    if isinstance(headline.get("value"), float):
        component, metric = str(headline.get("component") or ""), str(headline["metric"])
        name = full_name(component, metric)
        return f"{name} is {_with_interval(result.values(component, metric), str(headline.get('unit') or ''))}."
    ledger = result.counted
    share = 100 * dropped(ledger) / ledger.total if ledger.total else 0.0
    bound = zero_bound([float(dropped(r.counted)) for r in result.replications])
    return f"{share:.3g} % of {ledger.total:,} offered packets were dropped{f' ({bound})' if bound else ''}."


def of_comparison(comparison: Comparison, metric: str) -> list[str]:
    """One sentence per policy: by how much it differs from the baseline. Raises :class:`InputError`."""
    rows = [row for row in comparison.rows if row.metric == metric]
    if not rows:
        raise InputError(
            f"metric '{metric}' was not compared; there are: {', '.join({r.metric for r in comparison.rows})}"
        )
    sentences = []
    for row in rows:
        estimate = row.difference.interval.estimate
        unit = f" {row.unit}" if row.unit else ""
        how = "more" if estimate > 0 else "fewer"
        text = f"{row.policy}: {metric} is {amount(abs(estimate))}{unit} {how} than with {row.baseline}"
        if row.difference.interval.n > 1:
            text += f" (95 % interval {bounds(row.difference.interval)}, {row.difference.interval.n} replications"
            text += ", significant)" if row.significant else ", not significant)"
        sentences.append(text + ".")
    return sentences


def of_sweep(study: Sweep, metric: str) -> str:
    """The point at which a metric's mean is smallest, and which others paired differences do not tell apart (Holm).

    Points share their seed, and so their traffic; where their seeds differ, the difference is Welch's.
    Raises :class:`InputError` where no point has a number for the metric.
    """
    means = {i: study.interval(result, metric) for i, result in enumerate(study.results)}
    known = [i for i, interval in means.items() if interval.n]
    if not known:
        raise InputError(f"metric '{metric}': no point of the sweep has a number for it")
    best = min(known, key=lambda i: means[i].estimate)
    others = [i for i in known if i != best]
    unit = Measure(metric).unit(study.results[best].replications[0])
    values = Measure(metric).values(study.results[best].replications)
    text = f"{metric} is smallest at {_point(study, best)}: {_with_interval(values, unit)}"
    differences = [difference(Measure(metric), study.results[best], study.results[i]) for i in others]
    adjusted = holm([d.p_value for d in differences])
    level = [i for i, p in zip(others, adjusted, strict=True) if not p < 1 - CONFIDENCE]
    if level:
        text += f"; not told apart from {'; '.join(_point(study, i) for i in level)}"
    return text + "."


def _point(study: Sweep, index: int) -> str:
    return ", ".join(f"{axis} = {study.points[index][axis]}" for axis in study.axes)


def _with_interval(values: Sequence[float], unit: str) -> str:
    if unit == "ps":  # sums of times; people read them in ms
        values, unit = [value / 1e9 for value in values], "ms"
    interval = mean_interval(values)
    text = f"{amount(interval.estimate)} {unit}".rstrip()
    if bound := zero_bound(values):
        return f"{text} ({bound})"
    if interval.n == 1:
        return f"{text} (one replication: no interval)"
    return f"{text} (95 % interval {bounds(interval)}, {interval.n} replications)"
