"""Short real runs that price single steps of this host: programs, polling, receiving and reading in the lab.

A path of the lab costs several steps at once. It is run in the simulator too, and what the two differ by goes to the
step that the path is about: so the simulated path costs afterwards what the real one does. None of the shipped
situations is used.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from rxpool.errors import ExitCode, InputError
from rxpool.kernel.lab import run as run_in_lab
from rxpool.policy import Policy
from rxpool.running import run as simulate
from rxpool.scenario import Scenario, load

if TYPE_CHECKING:
    import pandas as pd

_TEST_RUNS = 5_000
_FRAME = bytes(60)
_LARGE_FRAME = 1514
_FILL_MS = 40.0

_ARITHMETIC = "sum = sum * 1664525 + 1013904223;"
_PROGRAM = """
#include "policy.bpf.h"
const volatile __u32 calls = 0;
SEC("xdp") int priced(struct xdp_md* ctx) {{
  __u64 sum = ctx->rx_queue_index;
  for (__u32 i = 0; i < 4096; ++i) {{
    if (i >= calls) break;
    {body}
    asm volatile("" : "+r"(sum));
  }}
  return sum == 42 ? XDP_ABORTED : XDP_DROP;
}}
char LICENSE[] SEC("license") = "Dual BSD/GPL";
"""


@dataclass(frozen=True)
class Price:
    """One step's price, median and quartiles of several runs, and how it was measured; ``ns_per_byte`` of a copy."""

    step: str
    ns: float
    low: float
    high: float
    how: str
    ns_per_byte: float | None = None


def prices(base: Mapping[str, Any], calibration: str, repeats: int) -> Iterator[Price]:
    """Every step that this host can price; ``base`` holds the steps of ``calibration``, the file the rest comes from.

    Raises :class:`InputError` where the kernel backend cannot run.
    """
    base_ns = {name: float(step["ns"]) for name, step in base.items()}
    instruction, descriptor = _polling(base_ns, calibration, repeats)
    yield instruction
    yield _clock(instruction.ns, repeats)
    yield descriptor
    stack = _receiving(base_ns["netif_receive"] + base_ns["rx_descriptor"] - descriptor.ns, calibration, repeats)
    yield stack
    yield _remote(base_ns["cpumap_dequeue"] + base_ns["netif_receive"] - stack.ns, calibration, repeats)
    yield from _reading(base_ns, float(base["copy_to_user"]["ns_per_byte"]), calibration, repeats)


def _polling(base_ns: Mapping[str, float], calibration: str, repeats: int) -> tuple[Price, Price]:
    """One instruction and one packet, from how many packets a NAPI thread drops with a short and a long program."""
    few, many = 1000, 3000
    with TemporaryDirectory() as folder:
        program = Policy.from_c(_PROGRAM.format(body=_ARITHMETIC))
        (Path(folder) / "priced.bpf.o").write_bytes(program.code)
        taken, model = {}, {}
        for calls in (few, many):
            scenario = _flood(calibration, 900_000) | {
                "policies": {"veth0": {"program": "priced.bpf.o", "params": {"calls": calls}}}
            }
            loaded = load(scenario, folder=folder)
            taken[calls] = _ns_per_packet(loaded, repeats)
            model[calls] = 1e9 / _accepted_pps(simulate(loaded).metrics)
    per_turn = _instructions(_ARITHMETIC)
    each = [(long - short) / (many - few) / per_turn for short, long in zip(taken[few], taken[many], strict=True)]
    instruction = _price("bpf_instruction", each, "a loop of arithmetic in a NAPI thread's program, two lengths")
    modelled_loop = few * per_turn * base_ns["bpf_instruction"]
    rest = [
        base_ns["rx_descriptor"] + (short - few * per_turn * one) - (model[few] - modelled_loop)
        for short, one in zip(taken[few], each, strict=True)
    ]
    how = "the rest of a packet that a NAPI thread drops, ptr_ring included"
    return instruction, _price("rx_descriptor", rest, how)


def _clock(instruction_ns: float, repeats: int) -> Price:
    body = "sum += bpf_ktime_get_ns();"
    around = instruction_ns * _instructions(body)
    each = [ns - around for ns in _per_call(body, repeats)]
    return _price("bpf_ktime", each, "bpf_ktime_get_ns in a loop, by BPF_PROG_TEST_RUN")


def _per_call(body: str, repeats: int) -> list[float]:
    """Time of one turn of the loop in this kernel, ``repeats`` times."""
    from rxpool import _core

    few, many = 64, 1024
    programs = {
        count: _core.KernelRun(Policy.from_c(_PROGRAM.format(body=body), params={"calls": count})._core, "priced")
        for count in (few, many)
    }
    taken = [{count: program.run(_FRAME, _TEST_RUNS)[2] for count, program in programs.items()} for _ in range(repeats)]
    return [(one[many] - one[few]) / (many - few) for one in taken]


def _instructions(body: str) -> float:
    """Executed instructions of one turn of the loop, by the simulator's machine."""
    few, many = (
        Policy.from_c(_PROGRAM.format(body=body), params={"calls": count}).run_one(_FRAME).instructions
        for count in (64, 1024)
    )
    return (many - few) / (1024 - 64)


def _reading(base_ns: Mapping[str, float], base_per_byte: float, calibration: str, repeats: int) -> Iterator[Price]:
    """System call, dequeue and copy from how fast a full socket is drained: one at a time, many at a time, large."""
    paths = {"single": (1, 64), "batch": (64, 64), "large": (64, _LARGE_FRAME)}
    real: dict[str, list[float]] = {}
    model: dict[str, float] = {}
    for name, (batch, frame_bytes) in paths.items():
        scenario = _drain(calibration, batch, frame_bytes)
        real[name] = [_ns_per_read(frame) for frame in _lab_reads(scenario, repeats)]
        model[name] = _ns_per_read(_simulated_reads(scenario))
    call = [
        base_ns["syscall_entry"] + ((single - batch) - (model["single"] - model["batch"])) * 64 / 63
        for single, batch in zip(real["single"], real["batch"], strict=True)
    ]
    yield _price("syscall_entry", call, "a full socket drained one by one and 64 at a time by recvmmsg")
    more = _LARGE_FRAME - 64
    per_byte = [
        base_per_byte + ((large - batch) - (model["large"] - model["batch"])) / more
        for large, batch in zip(real["large"], real["batch"], strict=True)
    ]
    copied = _price(
        "copy_to_user", per_byte, f"a full socket drained of frames of 64 and {_LARGE_FRAME} bytes; ns: prior"
    )
    yield Price("copy_to_user", base_ns["copy_to_user"], copied.low, copied.high, copied.how, copied.ns)
    shifted = model["batch"] + (statistics.median(call) - base_ns["syscall_entry"]) / 64
    shifted += (copied.ns - base_per_byte) * 64
    dequeue = [base_ns["socket_dequeue"] + batch - shifted for batch in real["batch"]]
    yield _price("socket_dequeue", dequeue, "the rest of a packet's reading, 64 at a time")


def _drain(calibration: str, batch: int, frame_bytes: int) -> dict[str, Any]:
    return _veth(calibration) | {
        "duration_ms": _FILL_MS + 20,
        "sockets": {
            "service": {
                "port": 4000,
                "cpu": "cpu1",
                "rcvbuf": 4194304,
                "reader": {"batch": batch, "pauses": {"fill": {"at_ms": 0, "for_ms": _FILL_MS}}},
            }
        },
        "traffic": {"fill": _traffic(100_000, frame_bytes) | {"stop_ms": _FILL_MS - 5}},
    }


def _receiving(base_ns: float, calibration: str, repeats: int) -> Price:
    """The stack's part of a packet that goes up to a full socket, on a CPU of its own."""
    socket = {"port": 4000, "cpu": "cpu1", "reader": {"paused": True}}
    scenario = load(_flood(calibration, 2_500_000) | {"sockets": {"service": socket}})
    model = 1e9 / _accepted_pps(simulate(scenario).metrics)
    how = "a flood through a NAPI thread to a full socket: what the whole path differs by"
    return _price("netif_receive", [base_ns + ns - model for ns in _ns_per_packet(scenario, repeats)], how)


def _remote(base_ns: float, calibration: str, repeats: int) -> Price:
    """The remote CPU's part of a packet that comes over a cpumap and goes up to a full socket."""
    socket = {"port": 4000, "cpu": "cpu1", "reader": {"paused": True}}
    redirect = {"veth0": {"program": "redirect", "params": {"cpu": "cpu1", "qsize": 512}}}
    scenario = _veth(calibration) | {"duration_ms": 80, "sockets": {"service": socket}, "policies": redirect}
    taken = _ns_per_packet(load(scenario | {"traffic": {"flood": _traffic(1_500_000, 64)}}), repeats)
    model = 1e9 / _accepted_pps(simulate(scenario | {"traffic": {"flood": _traffic(5_000_000, 64)}}).metrics)
    how = "a flood over a cpumap to a full socket: what the remote CPU's path differs by"
    return _price("cpumap_dequeue", [base_ns + ns - model for ns in taken], how)


def _flood(calibration: str, rate_pps: float) -> dict[str, Any]:
    scenario = _veth(calibration) | {"duration_ms": 80, "traffic": {"flood": _traffic(rate_pps, 64)}}
    scenario["nics"]["veth0"]["rx_queues"]["rx0"] |= {"napi_threaded": True, "thread_cpu": "cpu1"}
    return scenario


def _ns_per_packet(scenario: Scenario, repeats: int) -> list[float]:
    """Time per packet of a NAPI thread in the lab that is offered more than it can take."""
    seen = run_in_lab(scenario, replications=repeats).metrics
    for _, frame in seen.groupby("replication"):
        total = frame.groupby("metric").value.sum()
        if _lost(total) < 0.1 * total["rx_packets_phy"]:
            raise InputError("calibrate: this host takes more packets than the generator sends", ExitCode.NOT_AVAILABLE)
    return [1e9 / _accepted_pps(frame) for _, frame in seen.groupby("replication")]


def _veth(calibration: str) -> dict[str, Any]:
    return {
        "calibration": calibration,
        "warmup_ms": 10,
        "kernel": {"hz": 250},
        "cpus": {"cpu0": {}, "cpu1": {}},
        "nics": {"veth0": {"driver": "veth", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
        "record": {"every_us": 100},
    }


def _traffic(rate_pps: float, frame_bytes: int) -> dict[str, Any]:
    flows = {"count": 64, "destination_ports": "4000"}
    return {"nic": "veth0", "kind": "constant", "rate_pps": rate_pps, "sizes": frame_bytes, "flows": flows}


def _lab_reads(scenario: Mapping[str, Any], repeats: int) -> Iterator[pd.DataFrame]:
    seen = run_in_lab(scenario, replications=repeats).series
    for _, frame in seen[seen.metric == "UdpInDatagrams"].groupby("replication"):
        yield frame


def _simulated_reads(scenario: Mapping[str, Any]) -> pd.DataFrame:
    series = simulate(scenario, set={"record.every_us": 10}).series
    reads = series[series.metric == "UdpInDatagrams"]
    return reads.assign(value=reads.value.cumsum())  # the simulator records what came in each interval


def _ns_per_read(reads: pd.DataFrame) -> float:
    """Time per message while the socket was drained: between a tenth and nine tenths of all that were read."""
    times, counts = reads.time_ns.to_numpy(float), reads.value.to_numpy(float)
    most = counts.max()
    inside = (counts >= most * 0.1) & (counts <= most * 0.9)
    if inside.sum() < 2:
        raise InputError(
            "calibrate: the socket was drained between two samples; it is too small", ExitCode.NOT_AVAILABLE
        )
    return float(np.polyfit(counts[inside], times[inside], 1)[0])


def _accepted_pps(metrics: pd.DataFrame) -> float:
    total = metrics.groupby("metric").value.sum()
    return float(total["offered_pps"] * (1 - _lost(total) / total["rx_packets_phy"]))


def _lost(total: pd.Series[float]) -> float:
    """Packets that found a full ring before the stack."""
    return float(total["tx_xdp_xmit_errors"] + total.get("xdp_cpumap_enqueue_drops", 0.0))


def _price(step: str, values: list[float], how: str) -> Price:
    values = [max(value, 0.0) for value in values]
    low, high = (float(np.quantile(values, q)) for q in (0.25, 0.75))
    return Price(step, statistics.median(values), low, high, how)
