"""Types of the compiled module; every text is UTF-8 JSON."""

from collections.abc import Callable, Sequence
from typing import NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

class LedgerDict(TypedDict):
    total: int
    places: dict[str, int]

class SeriesDict(TypedDict):
    heads: tuple[tuple[str, str, str, int], ...]
    time_ns: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]

class TraceDict(TypedDict):
    queues: list[str]
    context_ps: npt.NDArray[np.int64]
    context_cpu: npt.NDArray[np.int64]
    context: npt.NDArray[np.int64]
    poll_begin_ps: npt.NDArray[np.int64]
    poll_end_ps: npt.NDArray[np.int64]
    poll_queue: npt.NDArray[np.int64]
    poll_cpu: npt.NDArray[np.int64]
    poll_packets: npt.NDArray[np.int64]
    moment_ps: npt.NDArray[np.int64]
    moment_queue: npt.NDArray[np.int64]
    moment_packet: npt.NDArray[np.int64]
    moment_cpu: npt.NDArray[np.int64]
    moment_stage: npt.NDArray[np.int64]

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
    series: SeriesDict
    packets: LedgerDict
    packets_at_cut: LedgerDict
    pages: LedgerDict
    bottleneck: tuple[str, str]
    warnings: list[str]
    trace: NotRequired[TraceDict]

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

Given = dict[str, bytes | Callable[[bytes, Signal], int]]

class Signal:
    abi: int
    seq: int
    state: int
    valid: int
    updated_ns: int
    held: int
    inflight: int
    working_set: int
    limit: int
    rx_fill: int
    rx_size: int
    tx_fill: int
    tx_size: int
    hw_drops_total: int

def resolve(
    text: str,
    source_name: str,
    folder: str,
    overrides: Sequence[tuple[str, str]],
    allow_path: bool,
    shipped_folder: str,
    given: Given = ...,
) -> str: ...
def schema() -> str: ...
def named_files(resolved: str, folder: str, shipped_folder: str, given: Given = ...) -> list[str]: ...
def memory_estimate(resolved: str, folder: str, shipped_folder: str, given: Given = ...) -> int: ...

class FitDict(TypedDict):
    parameters: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]
    derivatives: npt.NDArray[np.float64]
    sum_of_squares: float
    steps: int

def fit_least_squares(
    measured: npt.NDArray[np.float64],
    deviation: npt.NDArray[np.float64],
    prior: npt.NDArray[np.float64],
    prior_deviation: npt.NDArray[np.float64],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    value: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    derivatives: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
) -> FitDict: ...
def memory_loop_ns(calibration_file: str, loop: str, bulk: int = 1) -> float: ...
def run(
    resolved: str,
    folder: str,
    shipped_folder: str,
    replication: int,
    progress: Callable[[float, float, int], bool] | None = None,
    given: Given = ...,
    trace_ms: tuple[float, float] | None = None,
) -> ReplicationDict: ...
def topology(resolved: str, folder: str, shipped_folder: str, given: Given = ...) -> TopologyDict: ...
def metric_table() -> list[MetricDict]: ...
def build_info() -> dict[str, str]: ...

class FieldDict(TypedDict):
    name: str
    type: str
    offset: int
    size: int
    element_size: int
    integer: bool
    signed: bool

class ProgramDict(TypedDict):
    name: str
    hook: str
    entry: bool
    only_simulated: bool
    instructions: int
    functions: int
    helpers: list[str]
    kfuncs: list[str]
    maps: list[str]
    callx: bool

class MapDict(TypedDict):
    name: str
    type: str
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    data_section: bool
    read_only: bool
    key_fields: list[FieldDict]
    value_fields: list[FieldDict]
    per_element: int

class LoadedPolicy:
    def __init__(
        self, object: bytes, label: str, params: dict[str, int], cpus: int, engine: str, program: str
    ) -> None: ...
    def programs(self) -> list[ProgramDict]: ...
    def maps(self) -> list[MapDict]: ...
    def knobs(self) -> list[tuple[str, str, int]]: ...
    def license(self) -> str: ...
    def findings(self) -> list[str]: ...
    def dot(self, program: str) -> str: ...
    def run(
        self, hook: str, packet: bytes, now_ns: int, cpu: int, rx_queue: int, rx_hash: int | None, repeat: int
    ) -> tuple[int, str, int, bytes, bytes, tuple[str, int] | None, int]: ...
    def run_return(
        self,
        held_ns: int,
        cookie: int,
        rx_hash: int,
        rx_queue: int,
        bytes: int,
        consumer: int,
        cpu: int,
        now_ns: int,
    ) -> int: ...
    def last_abort(self) -> str: ...
    def read(self, map: str, key: bytes) -> bytes | None: ...
    def write(self, map: str, key: bytes, value: bytes, flags: int) -> int: ...
    def erase(self, map: str, key: bytes) -> int: ...
    def dump(self, map: str) -> list[tuple[bytes, bytes]]: ...
    def drain(self, map: str) -> list[bytes]: ...
    def array(self, map: str) -> npt.NDArray[np.uint8]: ...

class KernelRun:
    def __init__(self, policy: LoadedPolicy, program: str) -> None: ...
    def run(self, packet: bytes, repeat: int) -> tuple[int, bytes, int]: ...
    def write(self, map: str, key: bytes, value: bytes) -> int: ...
    def dump(self, map: str) -> list[tuple[bytes, bytes]]: ...

def ask_kernel(policy: LoadedPolicy) -> list[tuple[str, str, str]]: ...
def read_frames(path: str) -> list[tuple[int, int, bytes]]: ...
def compile_policy(source: str, name: str, include_folder: str) -> bytes: ...
