"""Times that had not ended when the run did (a breaker that had not tripped yet): Kaplan-Meier over replications.

A mean over the replications in which it did end would be too small; a run's length in place of the others, a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rxpool.measures import Measure
from rxpool.result import Result
from rxpool.statistics import Survival, kaplan_meier

STARTED_BY = {"breaker_time_to_trip": "breaker_first_over", "breaker_time_to_close": "breaker_first_trip"}
"""Metrics that are a time to an event, in ms, and the metric that says when their clock started."""


@dataclass(frozen=True)
class CensoredTimes:
    """One time in ms per replication whose clock started; where it had not ``happened``, how long was watched."""

    times_ms: tuple[float, ...]
    happened: tuple[bool, ...]

    @property
    def survival(self) -> Survival:
        """The chance that it has not happened yet, over time. Raises ``ValueError`` where no clock started."""
        return kaplan_meier(self.times_ms, self.happened)

    def sentence(self) -> str:
        """How often it happened, and the time by which half of the replications had it."""
        if not self.times_ms:
            return "its clock never started"
        median = self.survival.quantile(0.5)
        by = f"half of them after {median:.4g} ms" if math.isfinite(median) else "fewer than half of them in the run"
        return f"happened in {sum(self.happened)} of {len(self.happened)} replications, {by} (Kaplan-Meier)"


def censored_times(name: str, result: Result) -> CensoredTimes | None:
    """The times behind a metric's name, ``component.metric``; None for a metric that is no time to an event."""
    component, _, metric = name.rpartition(".")
    if metric not in STARTED_BY:
        return None
    times, happened = [], []
    prefix = f"{component}." if component else ""
    for replication in result.replications:
        start = Measure(prefix + STARTED_BY[metric]).of(replication)
        if math.isnan(start):
            continue
        value = Measure(name).of(replication)
        end = float(result.scenario.resolved["warmup_ms"]) + replication.simulated_ms
        happened.append(not math.isnan(value))
        times.append(end - start if math.isnan(value) else value)
    return CensoredTimes(tuple(times), tuple(happened))
