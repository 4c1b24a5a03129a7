"""Runs a scenario in the lab and turns what it saw into the simulator's long form."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rxpool.errors import ExitCode, InputError
from rxpool.kernel import softnet
from rxpool.kernel.build import lab
from rxpool.kernel.needs import LAB, demand
from rxpool.kernel.plan import TCP_FRAME_BYTES, Plan, plan
from rxpool.scenario import Scenario, ScenarioSource, load

if TYPE_CHECKING:
    import pandas as pd

_SNAPSHOT = "struct page_pool, median of five reads every {us:g} us"
_STEAL = "/proc/stat, all CPUs while the lab measured, to 10 ms each"
_MISSING = {
    "posted": "veth has no descriptors",
    "alloc_fast": "the kernel of the lab's host keeps no page_pool statistics that a tracepoint shows",
    "socket_queue": "the kernel exports bytes, not packets",
}


@dataclass(frozen=True)
class LabRun:
    """What one replication was asked to do, and what it did.

    ``sent`` has the entries of its schedule with the times of sending, ``read_ns`` the times at which its sampler read
    the pool.
    """

    plan: Plan
    sent: npt.NDArray[np.uint64]
    read_ns: npt.NDArray[np.int64]


def send_times_ns(entries: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """The times of a schedule's entries (``lab.h``)."""
    return (entries >> np.uint64(24)).astype(np.int64)


@dataclass(frozen=True)
class KernelRun:
    """One run on the kernel.

    ``metrics`` has replication, component, metric, unit, value, source; a value that this kernel cannot give is NaN and
    ``source`` says why. ``series`` is the same over time. ``runs`` has each replication's plan and sends, ``limits``
    what a veth pair is not.
    """

    scenario: Scenario
    metrics: pd.DataFrame
    series: pd.DataFrame
    runs: tuple[LabRun, ...]
    limits: tuple[str, ...]

    @property
    def not_honoured(self) -> tuple[str, ...]:
        """The scenario's parts that the lab left out."""
        return self.runs[0].plan.not_honoured

    @property
    def missing(self) -> dict[str, str]:
        """Metrics that this kernel cannot give, with the reason."""
        rows = self.metrics[self.metrics.source.str.startswith("missing: ")]
        names = rows.component + "." + rows.metric
        return dict(zip(names, rows.source.str.removeprefix("missing: "), strict=True))

    @property
    def probe_cost(self) -> pd.Series[float]:
        """What each probe took of one CPU in percent, median over the replications."""
        rows = self.metrics[self.metrics.metric == "cpu_share"]
        return rows.groupby("component").value.median()

    def value(self, component: str, metric: str) -> float:
        """Median over the replications. Raises ``KeyError`` for a metric that is not there."""
        rows = self.metrics[(self.metrics.component == component) & (self.metrics.metric == metric)]
        if rows.empty:
            raise KeyError(f"{component}.{metric}")
        return float(rows.value.median())


def run(source: ScenarioSource, *, replications: int = 1, batch: int = 64, limit_s: float = 60) -> KernelRun:
    """Runs the kernel-honourable part of a scenario, ``replications`` times.

    ``batch`` is the generator's batch and so the ring of the pool under test. Raises :class:`InputError` with exit
    code 3 where this kernel or user cannot.
    """
    import pandas as pd

    scenario = load(source)
    demand("kernel backend", LAB)
    program = lab()
    metrics, series, runs = [], [], []
    for replication in range(replications):
        planned = plan(scenario, replication, batch=batch)
        with tempfile.TemporaryDirectory() as folder:
            document = Path(folder) / "plan.json"
            schedule = Path(folder) / "schedule"
            realised = Path(folder) / "realised"
            document.write_text(json.dumps(planned.document))
            planned.schedule.tofile(schedule)
            environment = os.environ | {"RXPOOL_LAB_OBJECTS": str(program.parent)}
            before = softnet.read()
            done = subprocess.run(
                [str(program), str(document), str(schedule), str(realised)],
                capture_output=True,
                text=True,
                check=False,
                env=environment,
                timeout=limit_s + planned.document["duration_ms"] / 1000,
            )
            if done.returncode != 0:
                code = ExitCode.NOT_AVAILABLE if done.returncode == ExitCode.NOT_AVAILABLE else ExitCode.BAD_INPUT
                raise InputError(done.stderr.strip() or f"rxpool-lab ended with {done.returncode}", code)
            seen = json.loads(done.stdout) | {"softnet": softnet.gained(before, softnet.read())}
            read_ns = np.array(seen["series"]["time_ns"], np.int64)
            runs.append(LabRun(planned, np.fromfile(realised, np.uint64), read_ns))
        rows = _metrics(scenario.resolved, planned, send_times_ns(runs[-1].sent), seen)
        metrics.append(rows.assign(replication=replication))
        series.append(_series(planned.nic, planned.queue, seen).assign(replication=replication))
    return KernelRun(
        scenario,
        pd.concat(metrics, ignore_index=True),
        pd.concat(series, ignore_index=True),
        tuple(runs),
        runs[0].plan.limits,
    )


def _metrics(
    what: Mapping[str, Any], planned: Plan, sent_ns: npt.NDArray[np.int64], seen: Mapping[str, Any]
) -> pd.DataFrame:
    import pandas as pd

    nic, queue = planned.nic, planned.queue
    port, rx = f"nics.{nic}", f"nics.{nic}.rx_queues.{queue}"
    pool = f"{rx}.page_pool"
    s = {name: np.array(values) for name, values in seen["series"].items()}
    after = s["time_ns"] >= float(what["warmup_ms"]) * 1e6
    first = int(np.argmax(after))
    seconds = float(s["time_ns"][-1] - s["time_ns"][first]) / 1e9
    rows: list[tuple[str, str, str, float, str]] = []

    def gained(values: np.ndarray[Any, Any]) -> float:
        return float(values[-1] - values[first])

    def level(component: str, metric: str, unit: str, values: np.ndarray[Any, Any], source: str) -> None:
        rows.append((component, f"{metric}_mean", unit, float(values[after].mean()), source))
        rows.append((component, f"{metric}_max", unit, float(values[after].max()), source))

    snapshot = _SNAPSHOT.format(us=planned.document["sample_us"])
    tcp = planned.document["tcp"]
    sent, lost = gained(s["sent"]), gained(s["tx_xdp_xmit_errors"])
    counter = "TCP_INFO of the sender" if tcp else "the pacer's own counter"
    rows.append((port, "rx_packets_phy", "packets", sent, counter))
    rows.append((port, "offered_pps", "packets/s", sent / seconds, counter))
    if tcp:
        rows.append((f"traffic.{tcp['name']}", "TcpRetransSegs", "packets", gained(s["retransmitted"]), counter))
    else:
        rows.append((rx, "tx_xdp_xmit_errors", "packets", lost, "tracepoint xdp:xdp_devmap_xmit"))
        rows.append((rx, "rx_packets", "packets", sent - lost, "tracepoint xdp:xdp_devmap_xmit"))
    if planned.remote:
        cpu = sorted(what["cpus"])[planned.remote["cpu"]]
        entry = f"policies.{nic}.{'cpu_map' if planned.document['policy'] == 'to_cpu' else planned.remote['map']}.{cpu}"
        cpumap = "tracepoint xdp:xdp_cpumap_enqueue"
        rows.append((entry, "xdp_cpumap_enqueue_drops", "packets", gained(s["cpumap_drops"]), cpumap))
    if s["xdp_drop"].size:
        rows.append((rx, "xdp_drop", "packets", gained(s["xdp_drop"]), "the policy's map verdicts"))
    level(rx, "held", "pages", s["held"], snapshot)
    level(pool, "inflight", "pages", s["inflight"], snapshot)
    level(pool, "pool_cache", "pages", s["pool_cache"], snapshot)
    level(pool, "pool_ring", "pages", s["pool_ring"], snapshot)
    rows += [
        (pool, name, "events", float(seen["counters"][name]), f"tracepoint {name}, warm-up included")
        for name in ("page_pool_state_hold", "page_pool_state_release")
    ]
    for name, socket in seen["sockets"].items():
        component = f"sockets.{name}"
        received = gained(np.array(socket["received"]))
        rows.append((component, "delivered_pps", "packets/s", received / seconds, "the reader's own counter"))
        if tcp:
            goodput = received * TCP_FRAME_BYTES / seconds
            rows.append((component, "goodput", "bytes/s", goodput, "the bytes that the reader took, as full frames"))
        else:
            drops = gained(np.array(socket["drops"]))
            rows.append((component, "UdpInDatagrams", "packets", received, "the reader's own counter"))
            rows.append((component, "UdpRcvbufErrors", "packets", drops, "SO_MEMINFO sk_drops"))
        level(component, "rmem_alloc", "bytes", np.array(socket["rmem_alloc"]), "SO_MEMINFO")
        rows.append((component, "socket_queue_mean", "packets", float("nan"), f"missing: {_MISSING['socket_queue']}"))
    if "xsk" in seen:
        component = f"xsks.{planned.document['xsk']['name']}"
        for name in ("rx_dropped", "rx_ring_full", "rx_fill_ring_empty_descs"):
            rows.append((component, name, "packets", gained(np.array(seen["xsk"][name])), "XDP_STATISTICS"))
        received = gained(np.array(seen["xsk"]["received"]))
        rows.append((component, "received", "packets", received, "the application's own counter"))
    for reason, count in seen["skb_drops"].items():
        rows.append(("stack", f"skb_drop_reason_{reason}", "packets", float(count), "tracepoint skb:kfree_skb"))
    rows += [("host", name, "events", float(count), softnet.SOURCE) for name, count in seen["softnet"].items()]
    rows.append(("host", "steal", "%", _stolen_percent(**seen["host"]), _STEAL))
    rows.append((rx, "posted", "pages", float("nan"), f"missing: {_MISSING['posted']}"))
    rows.append((pool, "alloc_fast", "events", float("nan"), f"missing: {_MISSING['alloc_fast']}"))
    rows += [("probes", name.partition(":")[0], "", float("nan"), f"missing: {name}") for name in seen["missing"]]
    rows += _probes(rx, seen)
    if "agent" in seen:
        rows += [(rx, *row) for row in _signal(seen["agent"], sent_ns)]
    return pd.DataFrame(rows, columns=["component", "metric", "unit", "value", "source"])


def _stolen_percent(total: int, stolen: int) -> float:
    """The hypervisor's share of the CPUs' time."""
    return 100 * stolen / total if total else float("nan")


def _probes(rx: str, seen: Mapping[str, Any]) -> Iterator[tuple[str, str, str, float, str]]:
    """What the other two samplers saw, how regular the samplers were, and what the probes took of the CPUs."""
    yield rx, "held_peak", "pages", float(seen["peak_held"]), "struct page_pool at the end of each poll"
    samplers = {"snapshot": ("between two reads of the thread", seen["series"]["time_ns"])}
    if len(seen["timer"]["time_ns"]) > 1:
        samplers["timer"] = ("between two interrupts of the timer", seen["timer"]["time_ns"])
    for name, (source, times) in samplers.items():
        gaps = np.diff(np.array(times))
        for statistic, quantile in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            yield "probes", f"{name}_period_{statistic}", "ns", float(np.quantile(gaps, quantile)), source
    account = "BPF run-time statistics over the warm-up, reading the clock for them included"
    for name, cost in sorted(seen["costs"].items()):
        yield f"probes.{name}", "run_time", "ns", cost["time_ns"] / cost["runs"], account
        yield f"probes.{name}", "cpu_share", "%", 100 * cost["time_ns"] / seen["account_ns"], account


def _signal(agent: Mapping[str, Any], sent_ns: npt.NDArray[np.int64]) -> Iterator[tuple[str, str, float, str]]:
    """How often the signal came, how long a reading took to become one, how old it was when a packet met it, and what
    the agent's thread needed for one look."""
    read, written = np.array(agent["read_ns"]), np.array(agent["written_ns"])
    yield "signal_writes", "events", float(read.size), "the agent's own counter"
    met = np.searchsorted(written, sent_ns, side="right") - 1
    ages = (sent_ns - read[met])[met >= 0]
    times = (
        ("signal_period", np.diff(read), "between two readings of the agent"),
        ("signal_latency", written - read, "from a reading to its signal"),
        ("signal_age", ages, "from a reading to a packet that meets its signal"),
    )
    for name, values, source in times:
        for statistic, quantile in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            if values.size:
                yield f"{name}_{statistic}", "ns", float(np.quantile(values, quantile)), source
    for statistic, quantile in (("p25", 0.25), ("p50", 0.5), ("p75", 0.75)):
        if read.size:
            spent = float(np.quantile(agent["cpu_ns"], quantile))
            yield f"look_time_{statistic}", "ns", spent, "CPU time of the agent's thread for one look"


def _series(nic: str, queue: str, seen: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    rx = f"nics.{nic}.rx_queues.{queue}"
    places = {
        "held": (rx, "pages"),
        "inflight": (f"{rx}.page_pool", "pages"),
        "pool_cache": (f"{rx}.page_pool", "pages"),
        "pool_ring": (f"{rx}.page_pool", "pages"),
    }
    times = seen["series"]["time_ns"]
    frames = [
        pd.DataFrame(
            {"component": component, "metric": name, "unit": unit, "time_ns": times, "value": seen["series"][name]}
        )
        for name, (component, unit) in places.items()
    ]
    received = "delivered" if "retransmitted" in seen["series"] else "UdpInDatagrams"
    frames += [
        pd.DataFrame(
            {
                "component": f"sockets.{name}",
                "metric": received,
                "unit": "packets",
                "time_ns": times,
                "value": socket["received"],
            }
        )
        for name, socket in seen["sockets"].items()
    ]
    timer = {"component": rx, "metric": "held_timer", "unit": "pages", "time_ns": seen["timer"]["time_ns"]}
    frames.append(pd.DataFrame(timer | {"value": seen["timer"]["held"]}))
    if "agent" in seen:
        agent = seen["agent"]
        for name, unit in (("working_set", "pages"), ("state", "bits")):
            values = {"component": f"{rx}.signal", "metric": name, "unit": unit, "time_ns": agent["written_ns"]}
            frames.append(pd.DataFrame(values | {"value": agent[name]}))
    return pd.concat(frames, ignore_index=True)
