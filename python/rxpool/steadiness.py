"""Whether a run that claims a steady state was in one; what is not steady is said, never averaged away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rxpool.errors import InputError
from rxpool.measures import full_name
from rxpool.record import Replication, Series
from rxpool.statistics import Values, WarmUp, mser5

WATCHED = ("held", "inflight", "rx_packets", "socket_queue")
"""Series that have to settle; a metric's name as in the table of metrics."""

SHORTEST = 50
"""Samples below which a series says nothing."""


def steadiness_warnings(resolved: dict[str, Any], replications: tuple[Replication, ...]) -> Iterator[str]:
    """One sentence per series that in some replication never settled, or settled only after the warm-up.

    Only for scenarios with ``"analysis": "steady"`` and ``record.every_us``; MSER-5 over the samples after the warm-up,
    replication by replication.
    """
    if resolved.get("analysis") != "steady":
        return
    if not any(r.series for r in replications):
        yield "steady state is claimed but not checked: record.every_us is 0"
    cut_ns = resolved.get("warmup_ms", 0) * 1e6
    findings: dict[str, list[_Finding]] = {}
    for replication in replications:
        for series in replication.series:
            finding = _finding(series, cut_ns)
            if finding is not None:
                findings.setdefault(full_name(series.component, series.metric), []).append(finding)
    for name, found in findings.items():
        yield from _sentence(name, found)


def mser5_warmup_ms(replications: Sequence[Replication]) -> float:
    """The warm-up that MSER-5 asks for, in ms from the start of the run: when the last watched series settles.

    Over all replications, so that one cut fits all of them. Raises :class:`InputError` where a series never settles, or
    where there is none to look at.
    """
    cuts = []
    for replication in replications:
        for series in replication.series:
            found = _warm_up(series.metric, series.value)
            if found is None:
                continue
            if not found.steady:
                raise InputError(
                    f"--warmup mser5: {full_name(series.component, series.metric)} has not settled by the end of "
                    f"replication {replication.replication}; run longer, or call the analysis transient"
                )
            cuts.append(float(series.time_ns[found.cut]) / 1e6 if found.cut else 0.0)
    if not cuts:
        raise InputError(f"--warmup mser5 needs {SHORTEST} samples of a series at least: set record.every_us")
    return max(cuts)


@dataclass(frozen=True)
class _Finding:
    """One replication's series: whether it settled, and at what time where that is later than the warm-up allows."""

    settled: bool
    late_ms: float | None


def _finding(series: Series, cut_ns: float) -> _Finding | None:
    kept = series.time_ns > cut_ns
    found = _warm_up(series.metric, series.value[kept])
    if found is None:
        return None
    late = found.steady and found.cut > kept.sum() // 10
    return _Finding(found.steady, float(series.time_ns[kept][found.cut]) / 1e6 if late else None)


def _warm_up(metric: str, values: Values) -> WarmUp | None:
    return mser5(values) if metric in WATCHED and len(values) >= SHORTEST else None


def _sentence(name: str, found: Sequence[_Finding]) -> Iterator[str]:
    restless = sum(not f.settled for f in found)
    late = [f.late_ms for f in found if f.late_ms is not None]
    if restless:
        where = _share(restless, len(found))
        yield f"not steady: {name} has not settled by the end{where}; run longer, or call the analysis transient"
    elif late:
        where = _share(len(late), len(found))
        yield f"warm-up too short: {name} settles at {max(late):.3g} ms{where}; set warmup_ms to that"


def _share(count: int, of: int) -> str:
    return f" in {count} of {of} replications" if of > 1 else ""
