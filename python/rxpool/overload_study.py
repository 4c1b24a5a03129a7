"""Does handing XDP the state signal keep a flow that the program does not know? The claims of `rx-overload-signal`.

Per seed another flow is wanted (its source port is drawn) and the flood's flows are others too. All rates are multiples
of what this host delivers and of what this policy drops at most, both measured in the same run of
the study: prices differ from calibration to calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from rxpool.running import run_scenarios
from rxpool.scenario import Scenario, load
from rxpool.shipped import shipped_folder
from rxpool.statistics import Interval, mean_interval

WANTED_PPS = 50_000
SATURATED_PPS = 60e6
"""More than any policy can drop."""


def scenario(
    seed: int, flood_pps: float, *, informed: bool = True, policy: str = "", duration_ms: float = 100
) -> Scenario:
    """`rx-overload-signal` with a flood of this rate; `policy` in place of its own."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0x6F766572,)))
    first = int(random.integers(1024, 60_000))
    given: dict[str, Any] = {
        "duration_ms": duration_ms,
        "traffic.flood.rate_pps": flood_pps,
        "traffic.flood.flows.source_ports": f"{first + 1}-{first + 5}",
        "traffic.wanted.flows.source_ports": str(first),
        "control.signal.zero": not informed,
    }
    return load(f"{shipped_folder()}/rx-overload-signal.json", set=given, seed=seed, policy=policy or None)


@dataclass(frozen=True)
class Point:
    """What came of one flood, over the seeds."""

    flood_pps: float
    kept: Interval  # share of the wanted flow's packets that its application read
    shed: Interval  # share of all packets that the program dropped


def measure(
    seeds: Sequence[int], flood_pps: float, *, executor: Executor | None = None, jobs: int = 1, **how: Any
) -> Point:
    """One flood with one program, a replication per seed."""
    results = run_scenarios([scenario(seed, flood_pps, **how) for seed in seeds], executor=executor, jobs=jobs)
    kept, shed = [], []
    for result in results:
        values = result.replications[0].named
        length_s = float(result.scenario.resolved["duration_ms"]) / 1e3
        kept.append(values[("sockets.wanted", "delivered_pps")] / WANTED_PPS)
        offered = values[("nics.nic0", "offered_pps")] * length_s
        shed.append(values[("nics.nic0.rx_queues.rx0", "xdp_drop")] / offered)
    return Point(flood_pps, mean_interval(kept), mean_interval(shed))


def delivered_pps(seed: int = 1) -> float:
    """What stack and readers of this host deliver when more arrives and no program sheds."""
    result = run_scenarios([scenario(seed, 3e6, policy="pass")])[0]
    values = result.replications[0].named
    return values[("sockets.wanted", "delivered_pps")] + values[("sockets.flooded", "delivered_pps")]


def drop_pps(seed: int = 1) -> float:
    """How many packets the policy drops when it has nothing else to do."""
    result = run_scenarios([scenario(seed, SATURATED_PPS)])[0]
    values = result.replications[0].named
    length_s = float(result.scenario.resolved["duration_ms"]) / 1e3
    return values[("nics.nic0.rx_queues.rx0", "xdp_drop")] / length_s


def claims(seeds: Sequence[int] = range(1, 6), *, executor: Executor | None = None, jobs: int = 1) -> list[str]:
    """One line per claim, with its interval over seeds."""

    def of(flood_pps: float, **how: Any) -> Point:
        return measure(seeds, flood_pps, executor=executor, jobs=jobs, **how)

    stack, xdp = delivered_pps(), drop_pps()
    flood = min(3 * stack, 0.7 * xdp)
    lines = [f"stack and readers deliver {stack / 1e6:.2f} M packets/s, the policy drops {xdp / 1e6:.2f} M packets/s"]
    for label, point in (
        ("informed", of(flood)),
        ("signal forced to 0", of(flood, informed=False)),
        ("tail drop (pass)", of(flood, policy="pass")),
        ("informed, 0.7 of the policy's own rate", of(0.7 * xdp)),
    ):
        lines.append(f"{label}, flood {point.flood_pps / 1e6:.2f} M: keeps {_percent(point.kept)} of the wanted flow")
    calm = of(0.3 * stack)
    lines.append(f"without overload, flood {calm.flood_pps / 1e6:.2f} M: drops {_percent(calm.shed)} of all packets")
    for times in (1.0, 1.25, 1.5, 2.0):
        beyond = of(times * xdp)
        lines.append(f"informed, {times:g} of the policy's own rate: keeps {_percent(beyond.kept)} of the wanted flow")
    return lines


def _percent(interval: Interval) -> str:
    return f"{100 * interval.estimate:.2f} % ({100 * interval.low:.2f} to {100 * interval.high:.2f})"
