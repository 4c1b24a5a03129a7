"""Are the circuit breaker's defaults right? Scenarios of a stated distribution, each with and without a breaker.

The twin without a breaker decides what harm is: it had to refuse allocations, or its free pages fell below the minimum
watermark. A breaker **misses** a scenario when the harm happens all the same, and trips **falsely** when it trips in
one whose twin came to none. Zero counts are reported with their upper bound over scenarios (docs/statistics.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rxpool.running import run_scenarios
from rxpool.scenario import Scenario, load
from rxpool.statistics import Interval, proportion_interval

READER_PPS = 200_000
"""What the application reads; a flood is a multiple of it."""
REACH_MS = 260.0
"""How long a run goes on after its burst: a breaker may still trip while what was queued is being read."""
FLOODED = "nics.nic0.rx_queues.rx0"
BREAKER: dict[str, Any] = {"threshold": "share_or_oom"}
"""The defaults of a breaker that is switched on, as scenarios/schema.json has them."""
NO_LIMIT = (1 << 30) - 1


@dataclass(frozen=True)
class Draw:
    """One scenario of the distribution."""

    seed: int
    flood: float  # multiple of what the application reads: log-uniform, 0.5 to 10
    burst_ms: float  # log-uniform, 0.1 ms to 1 s
    rtt_us: float  # of the TCP flows: log-uniform, 20 us to 200 ms
    total_gib: int  # 2, 4, 8, 16, 32 or 64
    free_share: float  # of the memory at the start: log-uniform, 1 % to 30 %
    rcvbuf: int  # as the application sets it: 0 (the kernel's default) and 4 MiB, a sixth each, or 1 GiB (no limit)
    tcp: bool  # beside the flood, on the same queue
    frame_bytes: int  # 64 or 512


def draw(seed: int) -> Draw:
    """The scenario of a seed: the published distribution of the study."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0x627265616B6572,)))

    def log_uniform(low: float, high: float) -> float:
        return float(math.exp(random.uniform(math.log(low), math.log(high))))

    return Draw(
        seed=seed,
        flood=log_uniform(0.5, 10),
        burst_ms=log_uniform(0.1, 1000),
        rtt_us=log_uniform(20, 200_000),
        total_gib=int(random.choice([2, 4, 8, 16, 32, 64])),
        free_share=log_uniform(0.01, 0.3),
        rcvbuf=int(random.choice([0, 4 << 20, 1 << 30], p=[1 / 6, 1 / 6, 2 / 3])),
        tcp=bool(random.random() < 0.5),
        frame_bytes=int(random.choice([64, 512])),
    )


def scenario(case: Draw, breaker: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The draw as a scenario; without a breaker it is the twin that decides about harm."""
    total_mib = case.total_gib * 1024
    made: dict[str, Any] = {
        "seed": case.seed,
        "duration_ms": 10 + case.burst_ms + REACH_MS,
        "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}},
        "kernel": {"rmem_max": NO_LIMIT, "udp_mem_pages": NO_LIMIT if case.rcvbuf == 1 << 30 else 0},
        "memory": {"total_mib": total_mib, "free_mib": max(64, round(total_mib * case.free_share))},
        "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
        "sockets": {
            "flooded": {
                "port": 4000,
                "cpu": "cpu1",
                "rcvbuf": min(case.rcvbuf, NO_LIMIT),
                "reader": {"rate_pps": READER_PPS},
            }
        },
        "traffic": {
            "flood": {
                "nic": "nic0",
                "kind": "poisson",
                "rate_pps": case.flood * READER_PPS,
                "start_ms": 10,
                "stop_ms": 10 + case.burst_ms,
                "sizes": case.frame_bytes,
                "flows": {"count": 1000, "destination_ports": "4000"},
            }
        },
        "control": {"period_us": 500, "signal": {"period_us": 500}, "detectors": {"main": {"kind": "ewma"}}},
        "record": {"latency": False},
    }
    if case.tcp:
        made["sockets"]["web"] = {"protocol": "tcp", "port": 80, "cpu": "cpu2"}
        made["traffic"]["web"] = {
            "nic": "nic0",
            "kind": "tcp",
            "flows": {"count": 8, "destination_ports": "80"},
            "path": {"rtt_us": case.rtt_us, "rate_gbps": 1},
        }
    if breaker is not None:
        made["control"]["breaker"] = dict(breaker)
    return made


@dataclass(frozen=True)
class Case:
    """What happened to one draw."""

    draw: Draw
    harmed: bool  # the twin without a breaker
    harmed_with: bool
    tripped: bool  # or stopped at the low watermark
    peak_share: float  # of the twin: largest held over the zone
    early: bool  # the memory forecast ended the hold

    @property
    def missed(self) -> bool:
        """The harm happened although there was a breaker."""
        return self.harmed and self.harmed_with

    @property
    def false_trip(self) -> bool:
        """It tripped where nothing would have happened."""
        return self.tripped and not self.harmed

    def row(self) -> dict[str, Any]:
        """Flat, for a data frame."""
        own = {key: value for key, value in asdict(self).items() if key != "draw"}
        return asdict(self.draw) | own | {"missed": self.missed, "false_trip": self.false_trip}


def harm(values: Mapping[str, float]) -> bool:
    """Allocations refused, or fewer free pages than the minimum watermark at a look of the control loop."""
    return values["memory.alloc_fail"] > 0 or values["control.nr_free_pages_min"] < values["control.watermark_min"]


def acts(values: Mapping[str, float]) -> bool:
    """Did the breaker refuse packets: by a trip, or at the low watermark?"""
    return values[f"{FLOODED}.breaker_trips"] + values[f"{FLOODED}.breaker_hard"] > 0


def outcomes(scenarios: Sequence[Scenario], executor: Executor | None = None, jobs: int = 1) -> list[dict[str, float]]:
    """Component.metric to value, of the one replication of each."""
    results = run_scenarios(scenarios, executor=executor, jobs=jobs)
    return [
        {f"{component}.{metric}": value for (component, metric), value in result.replications[0].named.items()}
        for result in results
    ]


def judge(
    seeds: Iterable[int],
    breaker: Mapping[str, Any] = BREAKER,
    *,
    executor: Executor | None = None,
    jobs: int = 1,
    batch: int = 16,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Case]:
    """Runs each seed's scenario with the breaker and without it."""
    cases: list[Case] = []
    for some in _batches(list(seeds), batch):
        draws = [draw(seed) for seed in some]
        guarded = outcomes([load(scenario(case, breaker)) for case in draws], executor, jobs)
        acted = [index for index, values in enumerate(guarded) if acts(values)]
        # A breaker that refuses nobody changes nothing: then the twin's run is this run.
        twins = outcomes([load(scenario(draws[index])) for index in acted], executor, jobs)
        twin_of = dict(zip(acted, twins, strict=True))
        for index, (case, values) in enumerate(zip(draws, guarded, strict=True)):
            twin = twin_of.get(index, values)
            cases.append(
                Case(
                    draw=case,
                    harmed=harm(twin),
                    harmed_with=harm(values),
                    tripped=index in twin_of,
                    peak_share=twin[f"{FLOODED}.held_max"] / (case.total_gib * 262_144),
                    early=values[f"{FLOODED}.breaker_early_trips"] > 0,
                )
            )
        progress(len(cases))
    return cases


@dataclass(frozen=True)
class Verdict:
    """Missed and false trips of one setting, each with the interval of its share."""

    scenarios: int
    harmed: int
    missed: Interval | None  # of those whose twin was harmed; None: there were none
    false_trips: Interval | None  # of the others

    def sentence(self) -> str:
        """For a report; shares in percent with their upper bounds."""

        def share(interval: Interval | None) -> str:
            if interval is None:
                return "cannot be told"
            hits = round(interval.estimate * interval.n)
            return f"{hits} of {interval.n} (at most {100 * interval.high:.1f} %, 95 %)"

        return (
            f"{self.scenarios} scenarios, harm without a breaker in {self.harmed}: "
            f"missed {share(self.missed)}, false trips {share(self.false_trips)}"
        )


def verdict(cases: Sequence[Case]) -> Verdict:
    """Shares over scenarios, never over packets."""

    def share(hits: list[bool]) -> Interval | None:
        return proportion_interval(sum(hits), len(hits)) if hits else None

    return Verdict(
        scenarios=len(cases),
        harmed=sum(case.harmed for case in cases),
        missed=share([case.missed for case in cases if case.harmed]),
        false_trips=share([case.false_trip for case in cases if not case.harmed]),
    )


def limits(cases: Sequence[Case]) -> list[str]:
    """Where a setting stops holding: the region of the draws that it missed or tripped for in vain."""
    found = []
    for name, picked in (
        ("missed", [case.draw for case in cases if case.missed]),
        ("false trips", [case.draw for case in cases if case.false_trip]),
    ):
        if not picked:
            found.append(f"{name}: none in the region drawn from")
            continue
        ranges = [
            f"{label} {min(values):.3g} to {max(values):.3g}"
            for label, values in (
                ("flood", [d.flood for d in picked]),
                ("burst ms", [d.burst_ms for d in picked]),
                ("free MiB", [d.total_gib * 1024 * d.free_share for d in picked]),
            )
        ]
        found.append(f"{name}: {len(picked)}, all within " + ", ".join(ranges))
    return found


def _batches(seeds: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for first in range(0, len(seeds), size):
        yield seeds[first : first + size]
