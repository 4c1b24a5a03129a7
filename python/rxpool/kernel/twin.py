"""The simulated twin of a run in the lab: the same host, fed with what the lab's generator really sent.

The pool that the lab measures is the generator's own. A frame that waits in the ptr_ring, in a socket or with a reader
is a page of that pool, so the twin's ``held`` is the simulator's ``held`` and the taken places of the ptr_ring
together; the generator itself keeps about one batch of free pages, which belongs to ``inflight``. Unless the NAPI has a
thread, the generator's CPU polls after each of its batches, and goes on when nothing waits any more: the sends
themselves bound what can wait when (:func:`unpolled`). The simulated sender is outside, and without that bound a
generator that catches up after a delay would fill a ring that on the kernel never holds more than a batch. The
generator's CPU never sleeps, there or here.

A TCP connection answers to what the host does, so its twin has the simulator's own sender. There the pool is the
receiving queue's, on both sides, and needs no translation.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rxpool.kernel.lab import LabRun, send_times_ns
from rxpool.kernel.plan import VETH_RING, Plan
from rxpool.running import run as simulate
from rxpool.scenario import Scenario, load

if TYPE_CHECKING:
    import pandas as pd

PCAP_NANOSECONDS = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
_SOURCE_PORT_AT = 34
_BATCH_GAP_NS = 500  # a live frame takes about 70 ns, the flush and the poll of even one more than this


@dataclass(frozen=True)
class Twin:
    """One simulated replication of a run in the lab: ``Result.metrics``, and the lab's own series in ``series``."""

    metrics: pd.DataFrame
    series: pd.DataFrame


def twin(scenario: Scenario, lab: LabRun) -> Twin:
    """Simulates the scenario with the sends of one run in the lab."""
    plan, sent = lab.plan, lab.sent
    if plan.document["tcp"]:
        result = simulate(load(scenario, set={"record.every_us": plan.document["sample_us"]}, replications=1))
        return Twin(result.metrics, _of_receivers_pool(result.series, plan))
    nic = plan.nic
    with TemporaryDirectory() as folder:
        capture = Path(folder) / "realised.pcap"
        write_capture(capture, sent, plan.document["ports"], plan.document["frame_bytes"])
        generator = sorted(scenario.resolved["cpus"])[plan.document["generator_cpu"]]
        changed = {
            "traffic": _realised(sent, nic, capture),
            "record.every_us": plan.document["sample_us"],
            f"cpus.{generator}.idle_states": "poll",
        }
        result = simulate(load(scenario, set=changed, allow_path=True, replications=1))
        # Frames name the run by a digest over the capture, so they are made while it is there.
        return Twin(result.metrics, _as_lab_sees_it(result.series, nic, lab))


def _realised(sent: npt.NDArray[np.uint64], nic: str, capture: Path) -> dict[str, Any]:
    """The scenario's traffic: the capture from its first send on; none where nothing was sent."""
    if sent.size == 0:
        return {}
    first_ms = float(send_times_ns(sent)[0]) / 1e6
    return {"realised": {"nic": nic, "kind": "pcap", "file": str(capture), "start_ms": first_ms}}


def write_capture(path: Path, sent: npt.NDArray[np.uint64], ports: Sequence[int], frame_bytes: int) -> None:
    """The sends as a capture with times in ns: the lab's frame with the ports of each packet."""
    times = send_times_ns(sent)
    flows = (sent >> np.uint64(8) & np.uint64(0xFFFF)).astype(np.int64)
    record = np.dtype([("s", "<u4"), ("ns", "<u4"), ("held", "<u4"), ("length", "<u4"), ("frame", "u1", frame_bytes)])
    records = np.zeros(sent.size, record)
    records["s"], records["ns"] = np.divmod(times, 1_000_000_000)
    records["held"] = records["length"] = frame_bytes
    records["frame"] = np.frombuffer(_frame(frame_bytes), np.uint8)
    pairs = np.empty((sent.size, 2), ">u2")
    pairs[:, 0] = 1024 + flows % 64000
    pairs[:, 1] = np.asarray(ports)[(sent & np.uint64(0xFF)).astype(np.int64)]
    records["frame"][:, _SOURCE_PORT_AT : _SOURCE_PORT_AT + 4] = pairs.view(np.uint8).reshape(-1, 4)
    with path.open("wb") as file:
        file.write(PCAP_NANOSECONDS)
        records.tofile(file)


def _frame(size: int) -> bytes:
    """Ethernet, IPv4 from 198.18.0.2 to 198.18.0.1, UDP without ports and checksum; zeros."""
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, size - 14, 0, 0, 64, 17, 0, bytes([198, 18, 0, 2]), b"\xc6\x12\x00\x01"
    )
    total = sum(struct.unpack(">10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack(">H", 0xFFFF & ~(total + (total >> 16))) + header[12:]
    ethernet = bytes.fromhex("020000000001 020000000002 0800")
    return (ethernet + header + struct.pack(">HHHH", 0, 0, size - 34, 0)).ljust(size, b"\0")


def unpolled(sent_ns: npt.NDArray[np.int64], at_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many frames at most wait at these times for a poll on the generator's own CPU.

    Sends that follow each other at once are one batch. While it is sent, all of it so far waits; from then to the next
    batch's first send the poll takes it away, at a constant rate.
    """
    if sent_ns.size == 0:
        return np.zeros(at_ns.size, np.int64)
    begins = np.flatnonzero(np.diff(sent_ns, prepend=sent_ns[0] - 2 * _BATCH_GAP_NS) > _BATCH_GAP_NS)
    last = np.searchsorted(sent_ns, at_ns, side="right") - 1
    batch = np.searchsorted(begins, last, side="right") - 1
    following = np.append(begins, sent_ns.size)[batch + 1]
    waiting = (last - begins[batch] + 1).astype(float)
    polling = (last + 1 == following) & (following < sent_ns.size)
    gap = sent_ns[np.minimum(following, sent_ns.size - 1)] - sent_ns[last]
    waiting[polling] *= 1 - (at_ns - sent_ns[last])[polling] / gap[polling]
    return np.where(last < 0, 0, np.ceil(waiting)).astype(np.int64)


def _as_lab_sees_it(series: pd.DataFrame, nic: str, lab: LabRun) -> pd.DataFrame:
    """``held`` and ``inflight`` of the generator's pool over time, from the simulator's series."""
    import pandas as pd

    plan = lab.plan
    rx = f"nics.{nic}.rx_queues.{plan.queue}"
    here = series[series.component.isin([rx, f"{rx}.page_pool"])]
    table = here.pivot_table(index="time_ns", columns="metric", values="value", aggfunc="first", observed=True)
    waiting = VETH_RING - table["rx_fill"]
    if not plan.document["threaded"]:
        times = table.index.to_numpy()
        reading = np.clip(np.searchsorted(lab.read_ns, times), 0, lab.read_ns.size - 1)
        most = unpolled(send_times_ns(lab.sent), lab.read_ns[reading])
        waiting = waiting.clip(upper=pd.Series(most, index=table.index))
    held = table["held"] + waiting
    parts = {"held": (rx, held), "inflight": (f"{rx}.page_pool", held + plan.document["batch"])}
    return _long_form(parts)


def _of_receivers_pool(series: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """``held`` and ``inflight`` of the receiving queue's pool over time, under the names that the lab has for them."""
    rx = f"nics.{plan.nic}.rx_queues.{plan.queue}"
    here = series[series.component == rx].set_index("time_ns")
    levels = {name: here[here.metric == name].value for name in ("held", "inflight")}
    return _long_form({"held": (rx, levels["held"]), "inflight": (f"{rx}.page_pool", levels["inflight"])})


def _long_form(parts: Mapping[str, tuple[str, pd.Series[float]]]) -> pd.DataFrame:
    """One row per metric and time; of each metric its component and its values by time."""
    import pandas as pd

    return pd.concat(
        [
            pd.DataFrame(
                {"component": place, "metric": name, "unit": "pages", "time_ns": values.index, "value": values}
            )
            for name, (place, values) in parts.items()
        ],
        ignore_index=True,
    )
