"""From a resolved scenario to what the lab can do on this kernel, with a list of what it leaves out."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rxpool.errors import ExitCode, InputError
from rxpool.kernel.arrivals import send_times
from rxpool.scenario import Scenario

LIMITS = (
    "kernel path validation, not NIC validation: the device is a veth pair",
    "no descriptors: nothing is posted, a NIC would hold about its ring's size in pages even when idle",
    "drops happen in the sender's context at the receiver's ptr_ring, not in hardware",
    "no DMA, no cold caches, no interrupts: with inline NAPI sender and receiver share one CPU",
    "the pool under test is the generator's own: ring = batch, no NAPI owner, not visible to netlink",
    "one frame per 4 KiB page, truesize 4240",
    "one queue: live frames use the sending CPU's",
)

TCP_LIMITS = (
    *LIMITS[:4],
    "the pool under test is the receiving queue's own, into which veth copies: no NAPI owner, not visible to netlink",
    "one segment per 4 KiB page; the kernel joins queued segments and charges 4096 to 4352 bytes for each",
    "one connection: what the sender does costs CPU time that is not simulated",
)

VETH_RING = 256
"""Places of the ptr_ring of a veth queue (DR-31)."""

TCP_FRAME_BYTES = 1518
"""Of a full segment, with FCS."""

TRUESIZE = 4240
"""Bytes charged for a live frame's skb: 4096 without the 112 that test_run keeps in front, and the sk_buff's 256."""

_QSIZE = 2048  # of a cpumap's entry unless the scenario says otherwise
_FCS_BYTES = 4
_MAX_ENTRIES = 8_000_000
_LARGEST_LIVE_FRAME = 3000


@dataclass(frozen=True)
class Plan:
    """What the lab runs: ``document`` for its program, ``schedule`` the send times, ``not_honoured`` the rest."""

    document: dict[str, Any]
    schedule: npt.NDArray[np.uint64]
    nic: str
    queue: str
    not_honoured: tuple[str, ...] = field(default=())

    @property
    def remote(self) -> dict[str, Any] | None:
        """The CPU that a redirect sends to: map, cpu, qsize, program."""
        remote: dict[str, Any] | None = self.document["remote"]
        return remote

    @property
    def limits(self) -> tuple[str, ...]:
        """What a veth pair is not."""
        return TCP_LIMITS if self.document["tcp"] else LIMITS

    @property
    def scheduled(self) -> bool:
        """Whether the scheduler has a part in what is lost: a thread between driver and stack."""
        return bool(self.document["threaded"] or self.remote)


def plan(scenario: Scenario, replication: int = 0, *, batch: int = 64) -> Plan:
    """The kernel-honourable part of a scenario. Raises :class:`InputError` where nothing of it would be left."""
    what = scenario.resolved
    left_out: list[str] = []
    if len(what["nics"]) != 1:
        raise InputError("kernel backend: the lab has one NIC; the scenario has " + str(len(what["nics"])))
    nic_name, nic = next(iter(what["nics"].items()))
    if nic["driver"] != "veth":
        left_out.append(f"nics.{nic_name}.driver {nic['driver']}: the lab has a veth pair, without descriptors")
    queues = nic["rx_queues"]
    queue_name, queue = next(iter(sorted(queues.items())))
    if len(queues) > 1:
        left_out.append(f"nics.{nic_name}.rx_queues: live frames use one queue, {queue_name}")
    cpus = {name: index for index, name in enumerate(sorted(what["cpus"]))}
    available = os.sched_getaffinity(0)
    for name, index in cpus.items():
        if index not in available:
            raise InputError(f"cpus.{name}: this host has no CPU {index}", ExitCode.NOT_AVAILABLE)
    if what["memory"]["free_mib"]:
        left_out.append("memory.free_mib: the host's memory is as it is")
    left_out += [f"xsks.{name}: the lab opens no AF_XDP sockets" for name in sorted(what["xsks"])]
    left_out += [f"pmds.{name}: the lab has no driver in user space" for name in sorted(what["pmds"])]
    if queue["napi_busy_poll"]:
        left_out.append("napi_busy_poll: the lab's NAPI thread sleeps when there is nothing to do")
    left_out += [
        f"sockets.{name}.reader.busy_poll: the lab's readers sleep when there is nothing to read"
        for name, socket in sorted(what["sockets"].items())
        if socket["reader"]["busy_poll"]["us"]
    ]
    left_out += [f"events.{name}: timed changes are not made on the kernel" for name in sorted(what["events"])]
    napi_cpu = cpus[queue["thread_cpu"] or queue["cpu"]]
    threaded = bool(queue["napi_threaded"])
    end_ms = float(what["warmup_ms"]) + float(what["duration_ms"])
    tcp = _tcp(what, left_out)
    if tcp:
        schedule, ports, frame_bytes = np.empty(0, np.uint64), [tcp["port"]], TCP_FRAME_BYTES
    else:
        schedule, ports, frame_bytes = _traffic(what, end_ms, scenario.seed, replication, left_out)
    asked = what["policies"].get(nic_name, {"program": "none", "params": {}})
    policy, params, remote = policy_of(scenario, nic_name, asked, cpus, left_out)
    document = {
        "duration_ms": end_ms,
        "warmup_ms": float(what["warmup_ms"]),
        "sample_us": min(float(what["record"]["every_us"]) or 1000.0, 1000.0),
        "batch": batch,
        "frame_bytes": frame_bytes - _FCS_BYTES,
        "generator_cpu": next((c for c in sorted(cpus.values()) if c != napi_cpu), napi_cpu) if threaded else napi_cpu,
        "threaded": threaded,
        "napi_cpu": napi_cpu,
        "policy": policy,
        "params": params,
        "remote": remote,
        "xsk": _xsk(what, nic_name, queue_name, cpus, left_out) if policy == "to_xsk" else None,
        "tcp": tcp,
        "ports": ports,
        "sockets": [_socket(name, s, cpus) for name, s in sorted(what["sockets"].items())],
        "control": _control(what["control"], left_out),
        "hz": what["kernel"]["hz"],
    }
    return Plan(document, schedule, nic_name, queue_name, tuple(left_out))


def _socket(name: str, socket: dict[str, Any], cpus: dict[str, int]) -> dict[str, Any]:
    reader = socket["reader"]
    return {
        "name": name,
        "port": socket["port"],
        "tcp": socket["protocol"] == "tcp",
        "cpu": cpus[socket["cpu"]],
        "rcvbuf": socket["rcvbuf"],
        "batch": reader["batch"],
        "service_ns": reader["service_ns"],
        "rate_pps": reader["rate_pps"],
        "paused": reader["paused"],
        "pauses": [reader["pauses"][p] for p in sorted(reader["pauses"])],
    }


def _control(control: dict[str, Any], left_out: list[str]) -> dict[str, Any]:
    """What the agent can do on a kernel as it is."""
    blind = [name for name, d in control["detectors"].items() if d["kind"] == "jiffies_counter"]
    left_out += [f"control.detectors.{name}: single allocations and returns leave no trace" for name in blind]
    if control["breaker"]["threshold"] != "none":
        left_out.append("control.breaker: a driver has no gate, only the policy refuses packets")
    if control["pool"]["returns"] != "never" or control["pool"]["limit"] != "none":
        left_out.append("control.pool: a page_pool takes no limit and gives no page back on demand")
    detectors = {name: d for name, d in control["detectors"].items() if name not in blind}
    return control | {"detectors": detectors}


def _xsk(
    what: dict[str, Any], nic: str, queue: str, cpus: dict[str, int], left_out: list[str]
) -> dict[str, Any] | None:
    """The AF_XDP socket on the lab's queue."""
    here = {name: x for name, x in sorted(what["xsks"].items()) if (x["nic"], x["queue"]) == (nic, queue)}
    left_out += [f"xsks.{name}: not on the lab's queue" for name in sorted(what["xsks"]) if name not in here]
    if not here:
        return None
    name, xsk = next(iter(here.items()))
    if xsk["mode"] != "copy":
        left_out.append(f"xsks.{name}.mode {xsk['mode']}: a veth pair copies")
    application = xsk["application"]
    return {
        "name": name,
        "cpu": cpus[xsk["cpu"]],
        "frames": xsk["frames"],
        "fill_ring": xsk["fill_ring"],
        "rx_ring": xsk["rx_ring"],
        "batch": application["batch"],
        "service_ns": application["service_ns"],
        "paused": application["paused"],
        "pauses": [application["pauses"][p] for p in sorted(application["pauses"])],
    }


def policy_of(
    scenario: Scenario, nic: str, policy: dict[str, Any], cpus: dict[str, int], left_out: list[str]
) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """The program, its parameters, and the CPU that it redirects to."""
    program = str(policy["program"])
    if program in ("none", "pass"):
        return "pass", {}, None
    if program == "drop":
        return "drop", {}, None
    if program == "redirect" and policy["params"].get("cpu") in cpus:
        asked = policy["params"]
        if unknown := sorted(set(asked) - {"cpu", "qsize"}):
            raise InputError(f"kernel backend: policies.….params.{unknown[0]}: the lab's redirect takes cpu and qsize")
        to_one = {"map": "cpus", "cpu": cpus[asked["cpu"]], "qsize": asked.get("qsize", _QSIZE), "program": ""}
        return "to_cpu", {}, to_one
    if program == "xsk_def_prog":
        return "to_xsk", {}, None
    if program in ("tx", "redirect"):
        raise InputError(
            f"kernel backend: the built-in {program} to a device or to several CPUs is not in the lab; "
            "use none, pass, drop, redirect to one CPU, or a policy"
        )
    from rxpool.kernel.build import policy_object

    remote = _remote(nic, policy["maps"], cpus, left_out)
    return str(policy_object(program, Path(scenario.folder))), dict(policy["params"]), remote


def _remote(nic: str, maps: dict[str, Any], cpus: dict[str, int], left_out: list[str]) -> dict[str, Any] | None:
    """The one entry of a policy's cpumap that the lab makes, from the scenario's `qsize` or `qsize,bpf_prog=name`."""
    remote = None
    for name, content in sorted(maps.items()):
        for key, value in content["entries"].items():
            if key not in cpus or remote is not None:
                left_out.append(f"policies.{nic}.maps.{name}.entries.{key}: the lab writes one entry of a cpumap only")
                continue
            qsize, _, of_entry = str(value).partition(",bpf_prog=")
            remote = {"map": name, "cpu": cpus[key], "qsize": int(qsize), "program": of_entry}
    return remote


def _tcp(what: dict[str, Any], left_out: list[str]) -> dict[str, Any] | None:
    """The connection that takes the generator's place, where the traffic is one."""
    sources = {name: t for name, t in sorted(what["traffic"].items()) if t["kind"] == "tcp"}
    if not sources:
        return None
    if len(what["traffic"]) > 1:
        raise InputError("kernel backend: the lab has one TCP connection and nothing beside it")
    name, source = next(iter(sources.items()))
    if source["flows"]["count"] > 1:
        left_out.append(f"traffic.{name}.flows.count {source['flows']['count']}: one connection")
    if source["frame_bytes"] != TCP_FRAME_BYTES:
        left_out.append(f"traffic.{name}.frame_bytes {source['frame_bytes']}: frames of {TCP_FRAME_BYTES}")
    if source["transfer_kib"]:
        left_out.append(f"traffic.{name}.transfer_kib: the connection sends without end")
    left_out.append(f"traffic.{name}.path: the way is the veth pair, as fast as it can")
    return {
        "name": name,
        "port": int(str(source["flows"]["destination_ports"]).partition("-")[0]),
        "congestion_control": source["congestion_control"],
        "start_ms": source["start_ms"],
    }


def _traffic(
    what: dict[str, Any], end_ms: float, seed: int, replication: int, left_out: list[str]
) -> tuple[npt.NDArray[np.uint64], list[int], int]:
    pieces: list[npt.NDArray[np.uint64]] = []
    ports: list[int] = []
    sizes: set[int] = set()
    for number, (name, source) in enumerate(sorted(what["traffic"].items())):
        if source["kind"] in ("pcap", "flood"):
            raise InputError(f"kernel backend: traffic.{name}.kind {source['kind']} cannot be generated as live frames")
        random = np.random.default_rng([seed, replication, number])
        times = send_times(source, end_ms, random)
        flows = source["flows"]
        if flows["protocol"] != "udp":
            left_out.append(f"traffic.{name}.flows.protocol {flows['protocol']}: sent as UDP")
        sizes.add(_frame_bytes(name, source["sizes"], left_out))
        ports.append(int(str(flows["destination_ports"]).partition("-")[0]))
        flow = random.integers(0, min(int(flows["count"]), 60000), times.size).astype(np.uint64)
        pieces.append((times.astype(np.uint64) << np.uint64(24)) | (flow << np.uint64(8)) | np.uint64(number))
    if not pieces or sum(p.size for p in pieces) == 0:
        raise InputError("kernel backend: the scenario sends nothing")
    if len(sizes) > 1:
        left_out.append("traffic: frames of one size only, the largest")
    schedule = np.sort(np.concatenate(pieces))
    if schedule.size > _MAX_ENTRIES:
        raise InputError(f"kernel backend: {schedule.size} packets, at most {_MAX_ENTRIES} in one run", ExitCode.LIMIT)
    return schedule, ports, max(sizes)


def _frame_bytes(name: str, sizes: Any, left_out: list[str]) -> int:
    if isinstance(sizes, int | float):
        size = int(sizes)
    elif sizes["kind"] == "fixed":
        size = int(sizes["frame_bytes"])
    else:
        left_out.append(f"traffic.{name}.sizes {sizes['kind']}: frames of 64 bytes only")
        size = 64
    if size > _LARGEST_LIVE_FRAME:
        raise InputError(f"traffic.{name}.sizes: {size} bytes do not fit a live frame ({_LARGEST_LIVE_FRAME})")
    return size
