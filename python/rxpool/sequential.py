"""Adding replications until an interval is narrow enough (``statistics.Precision``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rxpool.measures import Measure
from rxpool.result import Result
from rxpool.scenario import Scenario
from rxpool.statistics import Precision

Runner = Callable[[list[Scenario]], list[Result]]
"""Runs scenarios with the number of replications they ask for; replications that exist need not run again."""


def run_to_precision(scenarios: Sequence[Scenario], measure: str, rule: Precision, run: Runner) -> list[Result]:
    """Runs all scenarios with one number of replications, raised until every one meets the rule.

    The number is common so that every replication has its partner in a paired comparison.
    """
    count = rule.minimum
    while True:
        results = run([scenario.with_set({"replications": count}) for scenario in scenarios])
        more = max(rule.next_count(Measure(measure).values(result.replications)) for result in results)
        if more == 0:
            return results
        count += more
