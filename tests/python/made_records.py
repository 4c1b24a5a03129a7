"""Scenarios and replications made by hand, for tests of what happens to results after the core gave them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rxpool.record import Ledger, Replication, Series
from rxpool.scenario import Scenario

QUEUE = "nics.nic0.rx_queues.rx0"


@dataclass(frozen=True)
class MadeScenario(Scenario):
    """A scenario that the core never saw."""

    made_digest: str = "0123456789abcdef" * 4
    made_files: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return self.made_digest

    @property
    def file_digests(self) -> dict[str, str]:
        return self.made_files


def made_scenario(replications: int = 3, digest: str = "0123456789abcdef" * 4) -> MadeScenario:
    text = f'{{"seed": 7, "replications": {replications}, "policies": {{"nic0": "drop"}}}}'
    return MadeScenario("made", text, "/nowhere", "made.json", made_digest=digest)


def made_replication(index: int, samples: int = 20) -> Replication:
    """Every number is a function of ``index``."""
    rng = np.random.default_rng(index)
    dropped = int(rng.integers(1, 1000))
    names = [(QUEUE, "rx_packets", "packets"), (f"{QUEUE}.page_pool", "held_max", "pages")]
    time_ns = np.arange(samples, dtype=np.int64) * 10_000
    series = [Series(c, m, u, time_ns, rng.random(samples)) for c, m, u in names] if samples else []
    return Replication(
        replication=index,
        fingerprint=int(rng.integers(0, 2**63)),
        simulated_ms=10.0,
        offered_packets=10_000,
        program_packets=10_000 - dropped,
        component=tuple(c for c, _, _ in names),
        metric=tuple(m for _, m, _ in names),
        unit=tuple(u for _, _, u in names),
        value=np.array([10_000.0 - dropped, float(rng.integers(100, 200))]),
        series=tuple(series),
        packets=Ledger(10_000, {"delivered": 10_000 - dropped, "dropped.rx_out_of_buffer": dropped}),
        pages=Ledger(1000, {"zone": 900, "posted": 100}),
        bottleneck=("cpus.cpu0", "cpu0 was busy 99.0 % of the time"),
        warnings=("a warning",),
        loop_cpu_seconds=0.5,
    )
