"""The table for people: queues, drops, CPUs, ledgers, speed, and the sentence that names the bottleneck.

With several replications every number is the mean over them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rxpool.measures import drop_reasons, dropped, full_name
from rxpool.plain import printable
from rxpool.record import CONTEXTS, Ledger
from rxpool.result import Result
from rxpool.statistics import Interval

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

QUEUE = re.compile(r"^(nics\.[^.]+)\.rx_queues\.([^.]+)(?:\.(.+))?$")
CPU = re.compile(r"^cpus\.([^.]+)$")

NO_DESCRIPTOR = (
    "rx_out_of_buffer",
    "rx_no_dma_resources",
    "port_rx_dropped",
    "rx_dropped",
    "hw_drop_overruns",
    "tx_xdp_xmit_errors",
)
"""What drivers call a packet that found no posted descriptor."""


@dataclass
class Means:
    """Metrics of a result, averaged over its replications, grouped by queue and by CPU."""

    queues: dict[str, dict[str, float]] = field(default_factory=dict)
    cpus: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, result: Result) -> Means:
        """Reads them off a result; what belongs to a queue's pool is the queue's."""
        means = cls()
        averages = list(_averages(result))
        queues = queue_names([component for (component, _), _ in averages])
        for (component, metric), value in averages:
            if component in queues:
                means.queues.setdefault(queues[component], {})[metric] = value
            elif cpu := CPU.match(component):
                means.cpus.setdefault(cpu[1], {})[metric] = value
        return means


def queue_names(components: Iterable[str]) -> dict[str, str]:
    """What people call the queue that a component is or belongs to; with its NIC where there are several."""
    matches = {component: match for component in components if (match := QUEUE.match(component))}
    several = len({match[1] for match in matches.values()}) > 1
    return {
        component: f"{match[1].partition('.')[2]}.{match[2]}" if several else match[2]
        for component, match in matches.items()
    }


def print_result(console: Console, result: Result) -> None:
    """Prints a result for a person to read."""
    for line in _head(result):
        console.print(line)
    means = Means.of(result)
    if means.queues:
        console.print(queue_table(means.queues))
    ledger = result.ledger
    count = len(result.replications)
    if dropped(result.counted):
        console.print(drop_table(result.counted, count))
    if means.cpus:
        console.print(cpu_table(means.cpus))
    offered = "offered, warm-up included," if result.scenario.resolved.get("warmup_ms") else "offered"
    console.print(_places("packets", offered, ledger["packets"], count))
    console.print(_places("pages", "total", ledger["pages"], count))
    for line in _tail(result):
        console.print(line)


def queue_table(queues: dict[str, dict[str, float]]) -> Table:
    """One line per RX queue."""
    columns: list[tuple[str, Callable[[dict[str, float]], str]]] = [
        ("held mean", lambda q: number(q.get("held_mean"))),
        ("held max", lambda q: number(q.get("held_max"))),
        ("posted", lambda q: number(_first(q, ("posted_mean", "posted")))),
        ("inflight max", lambda q: number(q.get("inflight_max"))),
        ("M packets/s", lambda q: number(_scaled(q.get("rx_pps"), 1e-6), 3)),
        ("no descriptor", lambda q: number(_first(q, NO_DESCRIPTOR))),
        ("XDP dropped", lambda q: number(q.get("xdp_drop"))),
        ("latency p50", lambda q: duration(q.get("rx_latency_p50"))),
        ("p99", lambda q: duration(q.get("rx_latency_p99"))),
    ]
    table = new_table("queue (pages)", [title for title, _ in columns])
    for name, values in queues.items():
        table.add_row(printable(name), *(show(values) for _, show in columns))
    return table


def drop_table(packets: Ledger, replications: int) -> Table:
    """Drops by reason, the largest first."""
    table = new_table("dropped by", ["packets", "of offered"])
    for reason, count in drop_reasons(packets, replications):
        table.add_row(printable(reason), number(count), percent(100 * count * replications / packets.total))
    return table


def cpu_table(cpus: dict[str, dict[str, float]]) -> Table:
    """Busy time of every CPU by context."""
    table = new_table("CPU busy", ["all", *CONTEXTS, "time_squeeze"])
    for name, values in cpus.items():
        shares = [percent(values.get("busy")), *(percent(values.get(f"busy_{context}")) for context in CONTEXTS)]
        table.add_row(printable(name), *shares, number(values.get("time_squeeze")))
    return table


def _head(result: Result) -> Iterator[str]:
    headline = result.headline
    if headline:
        yield _headline(headline)
    scenario = result.scenario
    resolved = scenario.resolved
    count = len(result.replications)
    replications = f"{count} replications" if count > 1 else "1 replication"
    release = resolved.get("kernel", {}).get("release")
    yield (
        f"{printable(scenario.name)}: policy {printable(result.policy)}, kernel {release}, "
        f"{result.duration_ms:g} ms after {resolved.get('warmup_ms', 0):g} ms warm-up, {replications}, "
        f"seed {scenario.seed}"
    )
    if resolved.get("question"):
        yield printable(resolved["question"])
    yield ""


def _tail(result: Result) -> Iterator[str]:
    speed = result.packets_per_second
    if speed:
        reached = result.program_packets_per_second or 0.0
        yield (
            f"speed: {speed / 1e6:.1f} million offered packets per CPU second of the event loop, "
            f"{reached / 1e6:.1f} million of them reached the driver"
        )
    if result.bottleneck:
        yield f"bottleneck: {printable(result.bottleneck)}"
    for warning in result.warnings:
        yield f"warning: {printable(warning)}"
    where = f" in {printable(result.path)}" if result.path else ""
    yield f"fingerprint {result.fingerprint}{where}"


def _headline(headline: dict[str, object]) -> str:
    name = full_name(str(headline.get("component") or ""), str(headline["metric"]))
    value = headline.get("value")
    if not isinstance(value, float):
        return f"headline: {printable(name)} is not among the metrics of this run"
    unit = str(headline.get("unit") or "")
    text = f"headline: {printable(name)} = {_reading(value, unit)}"
    low, high = headline.get("low"), headline.get("high")
    if isinstance(low, float) and isinstance(high, float):
        text += f" (95 % interval {_reading(low, unit)} to {_reading(high, unit)})"
    if headline.get("source"):
        simulated, error = headline.get("simulated"), headline.get("error")
        text += f"; published: {headline.get('figure'):g} {headline.get('unit', '')} ({headline['source']})"
        if isinstance(simulated, float) and isinstance(error, float):
            text += f", simulated: {simulated:.4g} {headline.get('unit', '')}, error {error:+.1%}"
    return printable(text)


def _reading(value: float, unit: str) -> str:
    """A headline's number; a sum of picoseconds as a time that people read."""
    return duration(value / 1e3) if unit == "ps" else number(value, 2)


def _places(kind: str, total: str, ledger: Ledger, replications: int) -> str:
    """One line: the total, then every place that is not empty; drops are one place here."""
    places: dict[str, int] = {}
    for place, count in ledger.places.items():
        name = "dropped" if place.startswith("dropped.") else place
        places[name] = places.get(name, 0) + count
    shown = ", ".join(f"{printable(place)} {number(n / replications)}" for place, n in places.items() if n)
    return f"{kind}: {number(ledger.total / replications)} {total} = {shown or 'none'}"


def _averages(result: Result) -> Iterator[tuple[tuple[str, str], float]]:
    sums: dict[tuple[str, str], float] = {}
    for replication in result.replications:
        for key, value in replication.named.items():
            sums[key] = sums.get(key, 0.0) + value
    for key, value in sums.items():
        yield key, value / len(result.replications)


def _first(values: dict[str, float], names: Sequence[str]) -> float | None:
    return next((values[name] for name in names if name in values), None)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def number(value: float | None, digits: int | None = None) -> str:
    """A number with thousands separators; a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    if digits is None:
        digits = 0 if abs(value) >= 100 or value == int(value) else 1
    return f"{value:,.{digits}f}"


def amount(value: float) -> str:
    """A number with digits that suit its size; a dash for none."""
    if math.isnan(value):
        return number(None)
    size = abs(value)
    return number(value, 0 if size >= 1000 or value == int(value) else 1 if size >= 10 else 3)


def bounds(interval: Interval) -> str:
    """An interval as text; a dash where one replication, or none, says nothing."""
    if interval.n <= 1:
        return "–"
    return f"{amount(interval.low)} to {amount(interval.high)}"


def percent(value: float | None) -> str:
    """A percentage with a precision that suits its size."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.1f} %" if value >= 0.1 or value == 0 else f"{value:.2g} %"


def duration(ns: float | None) -> str:
    """Nanoseconds in the unit that reads best."""
    if ns is None or math.isnan(ns):
        return "–"
    for limit, unit in ((1e3, "ns"), (1e6, "us"), (1e9, "ms")):
        if ns < limit:
            return f"{ns / (limit / 1e3):.3g} {unit}"
    return f"{ns / 1e9:.3g} s"


def new_table(first: str, columns: Sequence[str]) -> Table:
    """An empty table: one text column, then numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table
