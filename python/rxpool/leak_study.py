"""Leak or slow consumer? Drawn consumers behind two devices that share a zone, some of which lose pages.

Both queues of a run are samples: what their applications do is drawn, and whether they leak, so the truth is known.
Each score of docs/control.md becomes a ROC curve: the share of leaks found against the share of others suspected, over
all thresholds. Intervals are over scenarios, never over pages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rxpool.errors import InputError
from rxpool.running import run_scenarios
from rxpool.scenario import load
from rxpool.statistics import CONFIDENCE, Interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SCORES = {
    "leak_growth": "slope of the pages held",
    "leak_floor": "fewest pages held in the last window",
    "leak_trend": "windows whose floor rose",
}
DETACHED = {"detached_inflight": "pages that a pool destroyed more than a second ago still waits for"}
"""The score of queues that were restarted on the way: a slow consumer brings the old pool's pages home in the end."""
RESTART_MS, RETRIED_MS = 500.0, 1100.0
"""When both queues are restarted, and how long after it the pool has looked again (PP-52: every second)."""
DEVICES = {"nic0": ("first", 4000), "nic1": ("second", 5000)}
"""Each device with its socket and port."""
RATE_PPS = 150_000


@dataclass(frozen=True)
class Consumer:
    """An application of the distribution, and what it loses."""

    kind: str  # quick, near_saturation, pauses, overloaded
    service_ns: float
    pauses: Mapping[str, Mapping[str, float]]
    leak: float  # share of its packets: 0, or log-uniform from 1e-4 to 1e-2


def draw(seed: int) -> tuple[Consumer, Consumer]:
    """The consumers behind both devices; each of them leaks in half of the scenarios."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0x6C65616B,)))

    def consumer() -> Consumer:
        kind = str(random.choice(["quick", "near_saturation", "pauses", "overloaded"]))
        load_of = {
            "quick": (0.1, 0.7),
            "near_saturation": (0.85, 0.97),
            "pauses": (0.3, 0.8),
            "overloaded": (1.02, 1.3),
        }
        busy = float(random.uniform(*load_of[kind]))
        every = float(random.uniform(100, 400))
        pause = {
            "at_ms": float(random.uniform(20, 120)),
            "for_ms": every * float(random.uniform(0.05, 0.2)),
            "every_ms": every,
        }
        share = math.exp(random.uniform(math.log(1e-4), math.log(1e-2)))
        leaks = bool(random.random() < 0.5)
        # What reading one packet takes beside the application's own work, about.
        reading_ns = 700.0
        return Consumer(
            kind=kind,
            service_ns=max(0.0, busy * 1e9 / RATE_PPS - reading_ns),
            pauses={"drawn": pause} if kind == "pauses" else {},
            leak=share if leaks else 0.0,
        )

    return consumer(), consumer()


def scenario(
    seed: int, duration_ms: float | None = None, window_ms: float = 50, *, restarted: bool = False
) -> dict[str, Any]:
    """The draw as a scenario of a second; `restarted`: both queues get new rings at half a second, and the run is as
    long as their pools need to look again. A length that is given must be at least that."""
    least_ms = RESTART_MS + RETRIED_MS if restarted else 0.0
    if duration_ms is None:
        duration_ms = least_ms or 1000.0
    if duration_ms < least_ms:
        raise InputError(f"duration_ms: {duration_ms:g} ends before the pools look again; use at least {least_ms:g}")
    made: dict[str, Any] = {
        "seed": seed,
        "duration_ms": duration_ms,
        "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}, "cpu3": {}},
        "kernel": {"rmem_max": 67_108_864},
        "memory": {"total_mib": 2048},
        "nics": {},
        "sockets": {},
        "traffic": {},
        "faults": {"leaks": {}},
        "control": {"period_us": 1000, "signal": {"period_us": 1000}, "leak": {"window_ms": window_ms}},
        "record": {"latency": False},
    }
    for index, ((nic, (name, port)), consumer) in enumerate(zip(DEVICES.items(), draw(seed), strict=True)):
        made["nics"][nic] = {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": f"cpu{index}"}}}
        made["sockets"][name] = {
            "port": port,
            "cpu": f"cpu{2 + index}",
            "rcvbuf": 67_108_864,
            "reader": {
                "service_ns": consumer.service_ns,
                "service_law": "exponential",
                "pauses": dict(consumer.pauses),
            },
        }
        made["traffic"][name] = {
            "nic": nic,
            "kind": "poisson",
            "rate_pps": RATE_PPS,
            "sizes": 256,
            "flows": {"count": 1000, "destination_ports": str(port)},
        }
        if consumer.leak:
            made["faults"]["leaks"][name] = {
                "share": consumer.leak,
                "start_ms": 100.0 if restarted else duration_ms / 10,
            }
    if restarted:
        rings = {f"nics.{nic}.rx_queues.rx0.rx_ring": 1024 for nic in DEVICES}
        made["events"] = {"restart": {"at_ms": RESTART_MS, "set": rings}}
    return made


def samples(
    seeds: Iterable[int],
    *,
    duration_ms: float | None = None,
    restarted: bool = False,
    executor: Executor | None = None,
    jobs: int = 1,
) -> pd.DataFrame:
    """One row per queue: what its consumer was, whether it leaked and how much, and its scores; of queues that were
    `restarted`, the one that the pool left behind gives."""
    import pandas as pd

    seeds = list(seeds)
    runs = [load(scenario(seed, duration_ms, restarted=restarted)) for seed in seeds]
    results = run_scenarios(runs, executor=executor, jobs=jobs)
    rows = []
    for seed, result in zip(seeds, results, strict=True):
        values = result.replications[0].named
        for (nic, (name, _)), consumer in zip(DEVICES.items(), draw(seed), strict=True):
            queue = f"nics.{nic}.rx_queues.rx0"
            at, names = (f"{queue}.page_pool", DETACHED) if restarted else (queue, SCORES)
            rows.append(
                {
                    "seed": seed,
                    "nic": nic,
                    "kind": consumer.kind,
                    "leaks": consumer.leak > 0,
                    "leaked": values.get((f"sockets.{name}", "leaked"), 0.0),
                    "held": values[(queue, "held_max")],
                    **{score: values[(at, score)] for score in names},
                }
            )
    return pd.DataFrame(rows)


def roc(rows: pd.DataFrame, score: str) -> tuple[np.ndarray, np.ndarray]:
    """Share of the others suspected and share of the leaks found, for every threshold from the highest down."""
    values, leaks = rows[score].to_numpy(float), rows["leaks"].to_numpy(bool)
    thresholds = np.unique(values)[::-1]
    found = [float(np.mean(values[leaks] >= t)) for t in thresholds]
    suspected = [float(np.mean(values[~leaks] >= t)) for t in thresholds]
    return np.array([0.0, *suspected]), np.array([0.0, *found])


def area(rows: pd.DataFrame, score: str, resamples: int = 500) -> Interval:
    """Area under the ROC curve: the chance that a leak scores above another queue. The interval is a bootstrap over
    scenarios, because both queues of one may move together."""
    random = np.random.default_rng(0)
    seeds = rows["seed"].unique()
    own = dict(list(rows.groupby("seed")))

    def of(part: Sequence[Any]) -> float:
        values = np.concatenate([own[seed][score].to_numpy(float) for seed in part])
        leaks = np.concatenate([own[seed]["leaks"].to_numpy(bool) for seed in part])
        above = values[leaks][:, None] - values[~leaks][None, :]
        return float(np.mean((above > 0) + 0.5 * (above == 0))) if above.size else math.nan

    areas = [of(list(random.choice(seeds, len(seeds)))) for _ in range(resamples)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(areas, [tail, 1 - tail])
    return Interval(of(list(seeds)), float(low), float(high), CONFIDENCE, len(seeds))


def found_at(rows: pd.DataFrame, score: str, suspected: float = 0.05) -> float:
    """Share of the leaks found at the threshold that suspects at most this share of the others."""
    false, true = roc(rows, score)
    return float(true[false <= suspected].max())


def sentences(rows: pd.DataFrame) -> list[str]:
    """One sentence per score."""
    made = []
    for score, meaning in (SCORES | DETACHED).items():
        if score not in rows:
            continue
        interval = area(rows, score)
        made.append(
            f"{score} ({meaning}): area {interval.estimate:.3f} (95 % interval {interval.low:.3f} to "
            f"{interval.high:.3f}), finds {100 * found_at(rows, score):.0f} % of the leaks where it suspects "
            f"at most 5 % of the others"
        )
    return made


def plot(rows: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The ROC curve of each score."""
    from rxpool.plots.frames import axes, tidy

    drawn = axes(ax, 5.0, 4.5)
    for score in (score for score in SCORES | DETACHED if score in rows):
        drawn.plot(*roc(rows, score), drawstyle="steps-post", label=score)
    drawn.plot([0, 1], [0, 1], linestyle=":", color="0.6", label="chance")
    drawn.set_xlabel("others suspected")
    drawn.set_ylabel("leaks found")
    drawn.legend()
    return tidy(drawn)
