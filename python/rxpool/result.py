"""The result of one scenario: all its replications, as frames, as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rxpool.plain import finite, listed
from rxpool.record import Ledger, Replication
from rxpool.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
"""Number of the JSON and Parquet layout."""

_SCALES = {"Mpps": 1e6, "kpps": 1e3, "Gpps": 1e9}
"""Units of published figures in packets per second, which is what metrics count in."""

UNCALIBRATED = "uncalibrated:"
"""How the core's warnings about prices that nobody fitted begin."""


@dataclass(frozen=True)
class Result:
    """One scenario with all its replications. Immutable and picklable.

    ``context`` says when, where and how fast it ran; no comparison reads it.
    """

    scenario: Scenario
    replications: tuple[Replication, ...]
    context: Mapping[str, Any] = field(default_factory=dict, compare=False)
    path: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.replications:
            raise ValueError("a result has at least one replication")

    @property
    def name(self) -> str:
        """Name of the run: the scenario's stem and 16 digits of its digest."""
        return self.scenario.run_name

    @property
    def policy(self) -> str:
        """Name of the policy."""
        return self.scenario.policy

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Long form: run, scenario, policy, replication, component, metric, unit, value."""
        import pandas as pd

        return _frame(self, [pd.DataFrame(_columns(r)) for r in self.replications])

    @cached_property
    def series(self) -> pd.DataFrame:
        """Like :attr:`metrics`, with ``time_ns``: one row per sample of every recorded series."""
        import pandas as pd

        frames = [
            pd.DataFrame(
                {
                    "replication": r.replication,
                    "component": s.component,
                    "metric": s.metric,
                    "unit": s.unit,
                    "time_ns": s.time_ns,
                    "value": s.value,
                }
            )
            for r in self.replications
            for s in r.series
        ]
        columns = ["replication", "component", "metric", "unit", "time_ns", "value"]
        return _frame(self, frames or [pd.DataFrame(columns=columns)])

    def values(self, component: str, metric: str) -> list[float]:
        """One metric's value in every replication. Raises ``KeyError`` for a metric that is not there."""
        return [r[component, metric] for r in self.replications]

    def mean(self, component: str, metric: str) -> float:
        """Mean of one metric over the replications. Raises ``KeyError`` for a metric that is not there."""
        values = self.values(component, metric)
        return sum(values) / len(values)

    @property
    def counted(self) -> Ledger:
        """Packets since the end of warm-up, summed over the replications."""
        return _sum([r.counted for r in self.replications])

    @property
    def ledger(self) -> dict[str, Ledger]:
        """Where ``packets`` and ``pages`` of the whole run ended up, summed over the replications."""
        return {
            "packets": _sum([r.packets for r in self.replications]),
            "pages": _sum([r.pages for r in self.replications]),
        }

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits: the replication's own, or of several a hash over theirs in order."""
        return combine_fingerprints([r.fingerprint for r in self.replications])

    @property
    def bottleneck(self) -> str:
        """One sentence: what limited the first replication, with its evidence."""
        return self.replications[0].bottleneck[1]

    @cached_property
    def warnings(self) -> list[str]:
        """Warnings of all replications, each once, and what was not steady though the scenario says so."""
        from rxpool.steadiness import steadiness_warnings

        told = [w for r in self.replications for w in r.warnings]
        told += [
            f"policy {policy.name} is a Python function: slow to simulate, and charged as 50 instructions per packet"
            for policy in self.scenario.brought
            if policy.is_function
        ]
        return list(dict.fromkeys([*told, *steadiness_warnings(self.scenario.resolved, self.replications)]))

    @property
    def uncalibrated(self) -> str:
        """What nobody has fitted to measurements though this run rests on it; empty where there is nothing to say."""
        return uncalibrated(self.warnings)

    @property
    def duration_ms(self) -> float:
        """Simulated milliseconds of one replication, without warm-up."""
        return self.replications[0].simulated_ms

    @property
    def packets_per_second(self) -> float | None:
        """Offered packets over CPU seconds of the event loop; None where that was not kept."""
        return self.context.get("offered_packets_per_cpu_second")

    @property
    def program_packets_per_second(self) -> float | None:
        """Packets that reached the program over CPU seconds of the event loop."""
        return self.context.get("program_packets_per_cpu_second")

    @property
    def headline(self) -> dict[str, Any]:
        """The one number that the scenario is about: mean and 95 % interval.

        Beside a published ``figure`` (one with a ``source``) stand ``simulated``, the mean in the figure's unit, and
        ``error``, relative.
        """
        wanted = self.scenario.resolved.get("headline") or {}
        metric = wanted.get("metric")
        if not metric:
            return {}
        values = [_headline_value(r, wanted.get("component", ""), metric) for r in self.replications]
        if any(v is None for v in values):
            return {**wanted, "value": None}
        numbers = [v for v in values if v is not None]
        mean = sum(numbers) / len(numbers)
        answer = {**wanted, "value": mean, "replications": len(numbers)}
        if wanted.get("source"):
            simulated = mean / _SCALES.get(wanted.get("unit", ""), 1.0)
            answer |= {"simulated": simulated, "error": simulated / wanted["figure"] - 1 if wanted["figure"] else None}
        if len(numbers) > 1:
            from rxpool.statistics import mean_interval

            interval = mean_interval(numbers)
            answer |= {"low": interval.low, "high": interval.high, "confidence": interval.confidence}
        return answer

    def to_dict(self) -> dict[str, Any]:
        """The result as the object that ``--format json`` prints."""
        ledger = self.ledger
        return {
            "schema": SCHEMA,
            "scenario": self.scenario.resolved,
            "seed": self.scenario.seed,
            "fingerprint": self.fingerprint,
            "duration_ms": self.duration_ms,
            "metrics": [
                {
                    "replication": r.replication,
                    "component": component,
                    "metric": metric,
                    "value": float(value),
                    "unit": unit,
                }
                for r in self.replications
                for component, metric, unit, value in zip(r.component, r.metric, r.unit, r.value, strict=True)
            ],
            "ledger": {
                "packets": {"offered": ledger["packets"].total, "places": dict(ledger["packets"].places)},
                "pages": {"total": ledger["pages"].total, "places": dict(ledger["pages"].places)},
            },
            "headline": self.headline,
            "warnings": self.warnings,
            "context": {key: value for key, value in self.context.items() if key != "cpu_seconds"},
        }

    def to_json(self, indent: int | None = None) -> str:
        """:meth:`to_dict` as JSON; numbers that are not finite become null."""
        return json.dumps(finite(self.to_dict()), indent=indent, ensure_ascii=False, allow_nan=False)


def warnings(results: Iterable[Result]) -> list[str]:
    """Warnings of several runs, each once; those that not every run has name the runs."""
    return join_warnings([(result.name, result.warnings) for result in results])


def join_warnings(told: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Sentences by the run that said them, each once; what not every run said names those that did."""
    by_sentence: dict[str, dict[str, None]] = {}
    for run, sentences in told:
        for sentence in sentences:
            by_sentence.setdefault(sentence, {})[run] = None
    runs = len({run for run, _ in told})
    return [s if len(names) == runs else f"{s} ({listed(list(names))})" for s, names in by_sentence.items()]


def uncalibrated(sentences: Iterable[str]) -> str:
    """Those of some warnings that say what nobody has fitted to measurements."""
    return " ".join(s for s in sentences if s.startswith(UNCALIBRATED))


def combine_fingerprints(fingerprints: Sequence[int]) -> str:
    """One fingerprint for a list of them."""
    digits = [f"{f:016x}" for f in fingerprints]
    if len(digits) == 1:
        return digits[0]
    return hashlib.sha256("\n".join(digits).encode()).hexdigest()[:16]


def _columns(r: Replication) -> dict[str, Any]:
    return {
        "replication": r.replication,
        "component": list(r.component),
        "metric": list(r.metric),
        "unit": list(r.unit),
        "value": r.value,
    }


def _frame(result: Result, parts: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    frame = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    for position, (column, text) in enumerate(
        [("run", result.name), ("scenario", result.scenario.name), ("policy", result.policy)]
    ):
        frame.insert(position, column, text)
    return frame


def _sum(ledgers: Sequence[Ledger]) -> Ledger:
    places: dict[str, int] = {}
    for ledger in ledgers:
        for place, count in ledger.places.items():
            places[place] = places.get(place, 0) + count
    return Ledger(sum(ledger.total for ledger in ledgers), dict(sorted(places.items())))


def _headline_value(r: Replication, component: str, metric: str) -> float | None:
    for name, own_metric, value in zip(r.component, r.metric, r.value, strict=True):
        if own_metric == metric and name == component:
            return float(value)
    return None
