"""A scenario on a real NIC and in the simulator: what came over the wire is what the twin gets.

The NIC is taken over with the scenario's ring, queues and policy. Who sends, and which applications read, is the
wire's and this host's own affair: what the scenario says of them holds for the twin alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rxpool.errors import InputError
from rxpool.kernel.attaching import Attached, attach
from rxpool.kernel.lab import KernelRun, LabRun
from rxpool.kernel.plan import Plan, policy_of
from rxpool.kernel.twin import PCAP_NANOSECONDS, Twin
from rxpool.kernel.validating import Validation, quantity_row
from rxpool.running import run as simulate
from rxpool.scenario import Scenario, ScenarioSource, load

if TYPE_CHECKING:
    import pandas as pd

NIC_LIMITS = (
    "traffic is what came over the wire, up to the recorder's room; the twin gets the same packets at the same times",
    "outside of the pools: posted in descriptors and held by somebody, not told apart; a pool that no page entered"
    " while it was watched is not seen",
    "times are this host's; sockets and readers are its own, not the scenario's",
)

_OUTSIDE_PAGES = 64  # a bulk of the page allocator
_SNAP_BYTES = 60
_LOSS_POINTS = 10.0
_DROPS = ("statistics.rx_dropped", "statistics.rx_missed_errors", "statistics.rx_fifo_errors")


def validate_nic(source: ScenarioSource, interface: str, *, repeats: int = 1) -> Validation:
    """Takes the interface over ``repeats`` times for the scenario's length, each followed by its simulated twin.

    The caller has consent. Raises :class:`InputError` as :func:`rxpool.kernel.attaching.attach` does, and where no
    packet came.
    """
    import pandas as pd

    scenario = load(source)
    plan = _plan(scenario)
    settings = scenario.resolved["nics"][plan.nic]
    seen, twins, series = [], [], []
    for replication in range(repeats):
        one = attach(
            interface,
            plan.document["seconds"],
            rx_ring=settings["rx_ring"] if settings["driver"] != "veth" else 0,  # a veth pair has none to set
            rx_queues=len(settings["rx_queues"]),
            policy=plan.document["policy"],
            params=plan.document["params"],
        )
        if one.packets.size == 0:
            raise InputError(f"{interface}: no packet came within {plan.document['seconds']:g} s")
        seen.append(one)
        twins.append(_twin(scenario, plan, one.packets))
        series.append(_series(plan, one.report["pools"]).assign(backend="kernel", replication=replication))
        series.append(twins[-1].series.assign(backend="simulated", replication=replication))
    frame = pd.concat(series, ignore_index=True)
    kernel = KernelRun(
        scenario,
        pd.concat([_metrics(plan, one.report).assign(replication=i) for i, one in enumerate(seen)], ignore_index=True),
        frame[frame.backend == "kernel"],
        tuple(LabRun(plan, np.empty(0, np.uint64), np.empty(0, np.int64)) for _ in seen),
        NIC_LIMITS,
    )
    table = pd.DataFrame([*_levels(scenario, plan, frame), _lost(seen, twins)])
    return Validation(kernel, tuple(twins), table, frame, ("latency, CPU time: the recorder takes none",))


def _plan(scenario: Scenario) -> Plan:
    what = scenario.resolved
    if len(what["nics"]) != 1:
        raise InputError(f"validate --nic: one NIC is attached; the scenario has {len(what['nics'])}")
    nic, settings = next(iter(what["nics"].items()))
    left_out = [f"traffic.{name}: what comes over the wire is taken" for name in sorted(what["traffic"])]
    left_out += [f"sockets.{name}: this host's applications read" for name in sorted(what["sockets"])]
    left_out += [f"events.{name}: timed changes are not made on the kernel" for name in sorted(what["events"])]
    cpus = {name: index for index, name in enumerate(sorted(what["cpus"]))}
    asked = what["policies"].get(nic, {"program": "none", "params": {}, "maps": {}})
    policy, params, remote = policy_of(scenario, nic, asked, cpus, left_out)
    if remote is not None:
        raise InputError("validate --nic: a policy that redirects to CPUs is not attached to a NIC")
    seconds = (float(what["warmup_ms"]) + float(what["duration_ms"])) / 1000
    document = {"seconds": seconds, "policy": policy, "params": params, "remote": None, "threaded": False}
    queue = min(settings["rx_queues"])
    return Plan(document, np.empty(0, np.uint64), nic, queue, tuple(left_out))


def _twin(scenario: Scenario, plan: Plan, packets: npt.NDArray[Any]) -> Twin:
    with TemporaryDirectory() as folder:
        capture = Path(folder) / "seen.pcap"
        write_packets(capture, packets)
        first_ms = float(packets["time_ns"][0]) / 1e6
        source = {"nic": plan.nic, "kind": "pcap", "file": str(capture), "start_ms": first_ms, "cut_frames": True}
        changed = {"traffic": {"seen": source}, "record.every_us": 1000}
        result = simulate(load(scenario, set=changed, allow_path=True, replications=1))
        return Twin(result.metrics, _outside(result.series, plan.nic))


def write_packets(path: Path, packets: npt.NDArray[Any]) -> None:
    """The packets as a capture with times in ns: headers with their ports, cut behind; flows by their source port."""
    record = np.dtype([("s", "<u4"), ("ns", "<u4"), ("held", "<u4"), ("length", "<u4"), ("frame", "u1", _SNAP_BYTES)])
    records = np.zeros(packets.size, record)
    records["s"], records["ns"] = np.divmod(packets["time_ns"].astype(np.int64), 1_000_000_000)
    records["held"] = _SNAP_BYTES
    length = np.maximum(packets["length"], _SNAP_BYTES).astype(np.uint32)
    records["length"] = length
    fixed = bytes.fromhex("020000000001 020000000002 0800") + struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 0, 0, bytes([198, 18, 0, 2]), bytes([198, 18, 0, 1])
    )
    records["frame"][:, : len(fixed)] = np.frombuffer(fixed, np.uint8)

    def put(at: int, values: npt.NDArray[Any]) -> None:
        records["frame"][:, at : at + 2] = values.astype(">u2").view(np.uint8).reshape(-1, 2)

    put(16, length - 14)
    records["frame"][:, 23] = packets["protocol"]
    total = sum(struct.unpack(">10H", fixed[14:])) + (length - 14) + packets["protocol"]
    total = (total & 0xFFFF) + (total >> 16)
    put(24, 0xFFFF & ~(total + (total >> 16)))
    put(34, 1024 + packets["flow"].astype(np.uint32) % 64000)
    put(36, packets["port"])
    put(38, length - 34)
    with path.open("wb") as file:
        file.write(PCAP_NANOSECONDS)
        records.tofile(file)


def _levels_frame(component: str, times: Any, outside: Any, inflight: Any) -> pd.DataFrame:
    import pandas as pd

    parts = [
        pd.DataFrame({"component": component, "metric": name, "unit": "pages", "time_ns": times, "value": values})
        for name, values in (("outside", outside), ("inflight", inflight))
    ]
    return pd.concat(parts, ignore_index=True)


def _series(plan: Plan, pools: list[Mapping[str, Any]]) -> pd.DataFrame:
    """All pools of the NIC together, at the times of the first that lived to the end."""
    living = [pool for pool in pools if not pool["gone"] and pool["time_ns"]]
    times = living[0]["time_ns"] if living else []
    sums = {
        name: sum((np.interp(times, pool["time_ns"], pool[name]) for pool in living), np.zeros(len(times)))
        for name in ("outside", "inflight")
    }
    return _levels_frame(f"nics.{plan.nic}", times, sums["outside"], sums["inflight"])


def _outside(series: pd.DataFrame, nic: str) -> pd.DataFrame:
    """Posted and held pages of all queues of the twin."""
    here = series[series.component.str.startswith(f"nics.{nic}.rx_queues.")]
    rows = here[here.metric.isin(["posted", "held", "inflight"])]
    table = rows.pivot_table(index="time_ns", columns="metric", values="value", aggfunc="sum", observed=True)
    return _levels_frame(f"nics.{nic}", table.index, table["posted"] + table["held"], table["inflight"])


def _metrics(plan: Plan, report: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    port = f"nics.{plan.nic}"
    rows: list[tuple[str, str, str, float, str]] = [
        (port, "rx_packets_phy", "packets", float(report["seen"]), "the recorder's own counter")
    ]
    rows += [
        (port, name, "packets", float(value), "difference of the driver's counter")
        for name, value in sorted(report["counters"].items())
    ]
    for pool in report["netdev_pools"]:
        source = "netlink page-pool-stats-get"
        rows += [
            (f"{port}.page_pool.{pool['id']}", name, "events", float(value), source)
            for name, value in sorted(pool["statistics"].items())
        ]
    rows += [("probes", text.partition(":")[0], "", float("nan"), f"missing: {text}") for text in report["missing"]]
    return pd.DataFrame(rows, columns=["component", "metric", "unit", "value", "source"])


def _levels(scenario: Scenario, plan: Plan, series: pd.DataFrame) -> Iterator[dict[str, Any]]:
    what = scenario.resolved
    steady = series[series.time_ns >= float(what["warmup_ms"]) * 1e6]
    bound = float(what["nics"][plan.nic]["rx_ring"] * len(what["nics"][plan.nic]["rx_queues"]))
    for metric in ("outside", "inflight"):
        values = steady[steady.metric == metric].groupby(["backend", "replication"]).value.mean()
        if "kernel" not in values:
            continue  # no pool was seen; the report says so
        real, low, high = (float(values["kernel"].quantile(q)) for q in (0.5, 0.25, 0.75))
        allowed = max(float(what["tolerance"]) * real, _OUTSIDE_PAGES, high - low)
        yield quantity_row(f"{metric}_mean", "pages", (real, low, high), values["simulated"], allowed, bound)


def _lost(seen: list[Attached], twins: list[Twin]) -> dict[str, Any]:
    """What the NIC lost for want of a descriptor; what a policy drops is not lost."""
    import pandas as pd

    real = pd.Series([_percent(sum(one.report["counters"].get(d, 0) for d in _DROPS), one) for one in seen])
    simulated = []
    for twin in twins:
        total = twin.metrics.groupby("metric").value.sum()
        lost = total.get("rx_out_of_buffer", 0.0) + total.get("rx_discards_phy", 0.0)
        simulated.append(float(100 * lost / total["rx_packets_phy"]) if total.get("rx_packets_phy", 0.0) else 0.0)
    quartiles = (float(real.median()), float(real.quantile(0.25)), float(real.quantile(0.75)))
    name = "lost by the NIC, of the offered packets"
    return quantity_row(name, "%", quartiles, pd.Series(simulated), _LOSS_POINTS, float("nan"))


def _percent(lost: float, one: Attached) -> float:
    return float(100 * lost / (lost + one.report["seen"]))
