"""One scenario on both backends: per quantity the kernel's value, the simulator's, two trivial guesses' errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rxpool.kernel.lab import KernelRun, run
from rxpool.running import run as simulate
from rxpool.scenario import Scenario, ScenarioSource, load

if TYPE_CHECKING:
    import pandas as pd

    from rxpool.result import Result

_TRUESIZE = 4240  # of a live frame's skb, bytes
_VETH_RING = 256
_NAPI_WEIGHT = 64
_SHARE = 0.15  # of the kernel's level
_PAGES = 12
_LOSS_POINTS = 5.0


@dataclass(frozen=True)
class Validation:
    """Both runs and the table: quantity, unit, kernel, spread, simulated, error, allowed, inside, zero, bound."""

    kernel: KernelRun
    simulated: Result
    table: pd.DataFrame

    @property
    def inside(self) -> bool:
        """Whether every quantity is within what is allowed."""
        return bool(self.table.inside.all())


def validate(source: ScenarioSource, *, repeats: int = 5) -> Validation:
    """Runs the scenario ``repeats`` times on each backend and compares medians.

    Allowed is, for ``held``, the largest of 15 %, 12 pages and the kernel's own interquartile range; for the lost share
    of the offered packets 5 points. ``zero`` and ``bound`` are the errors of two guesses that need no simulator:
    nothing is held, and every buffer is full. The simulator draws its own arrivals from the same laws.
    """
    import pandas as pd

    scenario = load(source)
    kernel = run(scenario, replications=repeats)
    simulated = simulate(load(scenario, replications=repeats))
    nic, queue = _place(scenario)
    rx = f"nics.{nic}.rx_queues.{queue}"
    rows: list[dict[str, Any]] = []
    for metric in ("held_mean", "held_max"):
        real = kernel.metrics[(kernel.metrics.component == rx) & (kernel.metrics.metric == metric)].value
        spread = float(real.quantile(0.75) - real.quantile(0.25))
        allowed = max(_SHARE * float(real.median()), _PAGES, spread)
        guess = _median(simulated.values(rx, metric))
        bound = _static_bound(scenario)
        rows.append(_row(f"{rx}.{metric}", "pages", float(real.median()), spread, guess, allowed, bound))
    real_loss = pd.Series(_loss_of(r) for _, r in kernel.metrics.groupby("replication"))
    spread = float(real_loss.quantile(0.75) - real_loss.quantile(0.25))
    simulated_loss = _median([_loss_of(r) for _, r in simulated.metrics.groupby("replication")])
    rows.append(_row("lost share", "%", float(real_loss.median()), spread, simulated_loss, _LOSS_POINTS, float("nan")))
    return Validation(kernel, simulated, pd.DataFrame(rows))


def _row(
    quantity: str, unit: str, real: float, spread: float, guess: float, allowed: float, bound: float
) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "unit": unit,
        "kernel": real,
        "spread": spread,
        "simulated": guess,
        "error": guess - real,
        "allowed": allowed,
        "inside": abs(guess - real) <= allowed,
        "zero": abs(real),
        "bound": abs(bound - real),
    }


def _median(values: list[float]) -> float:
    import statistics

    return float(statistics.median(values))


def _place(scenario: Scenario) -> tuple[str, str]:
    nic, what = next(iter(scenario.resolved["nics"].items()))
    return nic, sorted(what["rx_queues"])[0]


def _loss_of(metrics: pd.DataFrame) -> float:
    """Percent of the offered packets that the ring or a socket dropped."""
    total = metrics.groupby("metric").value.sum()
    offered = total.get("rx_packets_phy", 0.0)
    lost = total.get("tx_xdp_xmit_errors", 0.0) + total.get("UdpRcvbufErrors", 0.0)
    return float(100 * lost / offered) if offered else 0.0


def _static_bound(scenario: Scenario) -> float:
    """What one reads off the settings: full receive buffers, or a full ring and a batch in hand."""
    sockets = scenario.resolved["sockets"].values()
    if not sockets:
        return _VETH_RING + _NAPI_WEIGHT
    default = int(scenario.resolved["kernel"]["rmem_default"])
    return float(sum((2 * s["rcvbuf"] if s["rcvbuf"] else default) // _TRUESIZE for s in sockets))
