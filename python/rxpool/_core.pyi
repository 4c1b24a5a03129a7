"""Types of the compiled module; every text is UTF-8 JSON."""

from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

class LedgerDict(TypedDict):
    total: int
    places: dict[str, int]

class SeriesDict(TypedDict):
    component: str
    metric: str
    unit: str
    time_ns: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]

class ReplicationDict(TypedDict):
    replication: int
    fingerprint: int
    simulated_ms: float
    loop_cpu_seconds: float
    offered_packets: int
    program_packets: int
    cancelled: bool
    component: list[str]
    metric: list[str]
    unit: list[str]
    value: npt.NDArray[np.float64]
    series: list[SeriesDict]
    packets: LedgerDict
    pages: LedgerDict
    bottleneck: tuple[str, str]
    warnings: list[str]

class StageDict(TypedDict):
    component: str
    kind: str
    offered_pps: float
    capacity_pps: float
    demand_ns: float
    utilisation: float

class TopologyDict(TypedDict):
    stages: list[StageDict]
    predicted: tuple[str, str]
    dot: str

class MetricDict(TypedDict):
    name: str
    unit: str
    kind: str
    meaning: str
    source: str

def resolve(
    text: str,
    source_name: str,
    folder: str,
    overrides: Sequence[tuple[str, str]],
    allow_path: bool,
    shipped_folder: str,
) -> str: ...
def schema() -> str: ...
def named_files(resolved: str, folder: str, shipped_folder: str) -> list[str]: ...
def memory_estimate(resolved: str, folder: str, shipped_folder: str) -> int: ...
def run(
    resolved: str,
    folder: str,
    shipped_folder: str,
    replication: int,
    progress: Callable[[float, float, int], bool] | None = None,
) -> ReplicationDict: ...
def topology(resolved: str, folder: str, shipped_folder: str) -> TopologyDict: ...
def metric_table() -> list[MetricDict]: ...
def build_info() -> dict[str, str]: ...
