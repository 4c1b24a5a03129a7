"""Adding replications until an interval is narrow enough (``statistics.Precision``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rxpool.errors import InputError
from rxpool.measures import Measure
from rxpool.result import Result
from rxpool.scenario import Scenario
from rxpool.statistics import Precision

Runner = Callable[[list[Scenario]], list[Result]]
"""Runs scenarios with the number of replications they ask for; replications that exist need not run again."""


def run_to_precision(scenarios: Sequence[Scenario], measure: str, rule: Precision, run: Runner) -> list[Result]:
    """Runs all scenarios with one number of replications, raised until every one meets the rule.

    The number is common so that every replication has its partner in a paired comparison. Raises :class:`InputError`
    where the measure is no number in some replication (a time that did not end, for one).
    """
    count = rule.minimum
    while True:
        results = run([scenario.with_set({"replications": count}) for scenario in scenarios])
        more = max(rule.next_count(_finite_values(measure, result)) for result in results)
        if more == 0:
            return results
        count += more


def _finite_values(measure: str, result: Result) -> list[float]:
    values = Measure(measure).values(result.replications)
    for replication, value in zip(result.replications, values, strict=True):
        if not math.isfinite(value):
            raise InputError(
                f"--precision: {measure} is no number in replication {replication.replication} of {result.name}; "
                "give another --metric"
            )
    return values
