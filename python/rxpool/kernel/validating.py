"""One scenario on both backends: per quantity the kernel's value, the twin's, and the errors of two guesses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rxpool.kernel.lab import KernelRun, run
from rxpool.kernel.plan import TRUESIZE, VETH_RING, Plan
from rxpool.kernel.twin import Twin, twin
from rxpool.scenario import Scenario, ScenarioSource, load

if TYPE_CHECKING:
    import pandas as pd

_NAPI_WEIGHT = 64
_CPUMAP_BATCH = 8
_HELD_PAGES = 12
_INFLIGHT_PAGES = 64
_LOSS_POINTS = 5.0
_LOSS_POINTS_SCHEDULED = 10.0

NOT_COMPARED = (
    "posted: a veth pair has no descriptors",
    "latency: the lab takes no time stamps per packet",
    "CPU time: the generator spends its own on the receiver's CPU",
    "pool_cache, pool_ring, calls of the page allocator: the pool under test is not a driver's",
)
"""What no quantity of the table says anything about, and why."""


@dataclass(frozen=True)
class Validation:
    """Both runs and the table.

    ``table`` has quantity, unit, kernel, low and high (the kernel's quartiles), simulated, error, allowed, inside, and
    the errors of two guesses that need no simulator: ``zero`` (nothing is held) and ``bound`` (every buffer is full).
    ``series`` has backend, replication, component, metric, unit, time_ns, value.
    """

    kernel: KernelRun
    twins: tuple[Twin, ...]
    table: pd.DataFrame
    series: pd.DataFrame
    not_compared: tuple[str, ...] = NOT_COMPARED

    @property
    def scenario(self) -> Scenario:
        """What ran."""
        return self.kernel.scenario

    @property
    def inside(self) -> bool:
        """Whether every quantity is within what is allowed."""
        return bool(self.table.inside.all())

    @property
    def beats_guesses(self) -> bool:
        """Whether the twin's summed error in pages is below that of both guesses."""
        pages = self.table[self.table.unit == "pages"]
        error = float(pages.error.abs().sum())
        return error < float(pages.zero.sum()) and error < float(pages.bound.sum())

    def write_picture(self, path: Path) -> None:
        """Draws the levels of both backends over each other. Raises :class:`InputError`."""
        from rxpool.plots.backends import write_backends

        write_backends(self.series, tuple(self.series.metric.unique()), path)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the series, as plain values."""
        return {
            "scenario": self.scenario.name,
            "repeats": len(self.twins),
            "inside": self.inside,
            "beats_guesses": self.beats_guesses,
            "quantities": self.table.to_dict("records"),
            "limits": list(self.kernel.limits),
            "not_honoured": list(self.kernel.not_honoured),
            "not_compared": list(self.not_compared),
            "missing": self.kernel.missing,
        }


def validate(source: ScenarioSource, *, repeats: int = 5) -> Validation:
    """Runs the scenario ``repeats`` times in the lab, each followed by its simulated twin, and compares medians.

    The twin is fed with what the lab's generator really sent in that run. Allowed is, for ``held``, the largest of the
    scenario's tolerance, 12 pages and the kernel's own interquartile range; for ``inflight`` the tolerance or 64 pages;
    for shares of the offered packets (lost before the stack, in sockets, refused by a policy that counts) 5 points, 10
    where the scheduler decides (threaded NAPI, cpumap).
    """
    import pandas as pd

    scenario = load(source)
    kernel = run(scenario, replications=repeats)
    twins = tuple(twin(scenario, one) for one in kernel.runs)
    simulated = pd.concat([t.series.assign(replication=i) for i, t in enumerate(twins)], ignore_index=True)
    series = pd.concat([kernel.series.assign(backend="kernel"), simulated.assign(backend="simulated")])
    series = series[series.metric.isin(["held", "inflight"])].reset_index(drop=True)
    rows = [*_levels(scenario, kernel.runs[0].plan, series), *_shares(kernel, twins)]
    if kernel.runs[0].plan.document["tcp"]:
        rows += _connection(kernel, twins)
    table = pd.DataFrame(rows)
    return Validation(kernel, twins, table, series)


def _levels(scenario: Scenario, plan: Plan, series: pd.DataFrame) -> Iterator[dict[str, Any]]:
    tolerance = float(scenario.resolved["tolerance"])
    steady = series[series.time_ns >= float(scenario.resolved["warmup_ms"]) * 1e6]
    batch = plan.document["batch"]
    bound = _static_bound(scenario, plan)
    rx = f"nics.{plan.nic}.rx_queues.{plan.queue}"
    quantities = (
        (rx, "held", "mean", _HELD_PAGES, True, bound),
        (rx, "held", "max", _HELD_PAGES, True, bound),
        (f"{rx}.page_pool", "inflight", "mean", _INFLIGHT_PAGES, False, bound + batch),
    )
    for component, metric, statistic, pages, or_spread, guess in quantities:
        rows = steady[(steady.component == component) & (steady.metric == metric)]
        values = rows.groupby(["backend", "replication"]).value.agg(statistic)
        real, low, high = (float(values["kernel"].quantile(q)) for q in (0.5, 0.25, 0.75))
        allowed = max(tolerance * real, pages, high - low if or_spread else 0.0)
        yield quantity_row(
            f"{component}.{metric}_{statistic}", "pages", (real, low, high), values["simulated"], allowed, guess
        )


def _shares(kernel: KernelRun, twins: Sequence[Twin]) -> Iterator[dict[str, Any]]:
    """What of the offered packets rings and sockets lost, and what the policy refused where it counts that."""
    import pandas as pd

    plan = kernel.runs[0].plan
    allowed = _LOSS_POINTS_SCHEDULED if plan.scheduled else _LOSS_POINTS
    shares: dict[str, tuple[str, ...]] = {
        "lost before the stack": ("tx_xdp_xmit_errors", "xdp_cpumap_enqueue_drops"),
        "lost in sockets": ("UdpRcvbufErrors",),
    }
    if plan.document["tcp"]:
        shares = {"sent again": ("TcpRetransSegs",)}
    if plan.document["xsk"]:
        shares["lost at the AF_XDP socket"] = ("rx_dropped", "rx_ring_full")
    if (kernel.metrics.metric == "xdp_drop").any():
        shares["refused by the policy"] = ("xdp_drop",)
    for name, metrics in shares.items():
        real = pd.Series([_percent(r, metrics) for _, r in kernel.metrics.groupby("replication")])
        simulated = pd.Series([_percent(t.metrics, metrics) for t in twins])
        quartiles = (float(real.median()), float(real.quantile(0.25)), float(real.quantile(0.75)))
        yield quantity_row(f"{name}, of the offered packets", "%", quartiles, simulated, allowed, float("nan"))


def _connection(kernel: KernelRun, twins: Sequence[Twin]) -> Iterator[dict[str, Any]]:
    """What a TCP socket is charged for and what its application gets."""
    import pandas as pd

    scenario = kernel.scenario
    tolerance = float(scenario.resolved["tolerance"])
    (name, socket), *_ = scenario.resolved["sockets"].items()
    for metric, unit, bound in (("rmem_alloc_mean", "bytes", 2.0 * socket["rcvbuf"]), ("goodput", "bytes/s", math.nan)):
        of_kernel = _of_component(kernel.metrics, f"sockets.{name}", metric)
        simulated = pd.Series([float(_of_component(t.metrics, f"sockets.{name}", metric).iloc[0]) for t in twins])
        real = (float(of_kernel.median()), float(of_kernel.quantile(0.25)), float(of_kernel.quantile(0.75)))
        yield quantity_row(f"sockets.{name}.{metric}", unit, real, simulated, tolerance * real[0], bound)


def _of_component(metrics: pd.DataFrame, component: str, metric: str) -> pd.Series[float]:
    return metrics[(metrics.component == component) & (metrics.metric == metric)].value


def quantity_row(
    quantity: str,
    unit: str,
    real: tuple[float, float, float],
    simulated: pd.Series[float],
    allowed: float,
    bound: float,
) -> dict[str, Any]:
    """One line of the table; ``real`` is the kernel's median with its quartiles, ``bound`` a guess."""
    value, low, high = real
    guess = float(simulated.median())
    return {
        "quantity": quantity,
        "unit": unit,
        "kernel": value,
        "low": low,
        "high": high,
        "simulated": guess,
        "error": guess - value,
        "allowed": allowed,
        "inside": abs(guess - value) <= allowed,
        "zero": abs(value),
        "bound": abs(bound - value),
    }


def _percent(metrics: pd.DataFrame, names: Sequence[str]) -> float:
    """Percent of the offered packets that these counters, over all components, counted."""
    total = metrics.groupby("metric").value.sum()
    offered = total.get("rx_packets_phy", 0.0)
    return float(100 * sum(total.get(name, 0.0) for name in names) / offered) if offered else 0.0


def _static_bound(scenario: Scenario, plan: Plan) -> float:
    """What one reads off the settings: full receive buffers and cpumap, or a full ring and a batch in hand."""
    bound = 0
    if plan.remote:
        bound += plan.remote["qsize"] + _CPUMAP_BATCH
    sockets = scenario.resolved["sockets"].values()
    if not sockets and not bound:
        bound = VETH_RING + _NAPI_WEIGHT
    default = int(scenario.resolved["kernel"]["rmem_default"])
    return float(bound + sum((2 * s["rcvbuf"] if s["rcvbuf"] else default) // TRUESIZE for s in sockets))
