"""Recording of a live interface, read-only: what arrives per queue and millisecond, and how long it is kept.

Nothing is attached to the interface. A tracefs instance of its own, in a mount namespace of its own, writes down each
packet that enters the stack (time, queue, length, flow hash: no address) and when its skb is freed. Whoever writes it
removes the instance when this process ends, killed or not.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt

from rxpool.errors import ExitCode, InputError
from rxpool.kernel.needs import RECORD, demand

_SCRIPT = """
set -e
dir=/sys/kernel/tracing
[ -d $dir/events ] || mount -t tracefs none $dir
cd "$dir/instances"
for old in rxpool-*; do
  [ -d "$old" ] && [ ! -d "/proc/${old#rxpool-}" ] && { echo 0 > "$old/events/enable"; rmdir "$old"; }
done
end() {
  echo 0 > events/enable
  sleep 0.5
  kill $reader
  wait $reader || true
  grep -h ^overrun per_cpu/cpu*/stats
  cd ..
  rmdir "rxpool-$$"
}
trap end EXIT
mkdir "rxpool-$$"
cd "rxpool-$$"
echo mono > trace_clock
echo 16384 > buffer_size_kb
for event in napi_gro_receive_entry netif_receive_skb_entry; do
  echo "name == \\"$1\\"" > events/net/$event/filter
done
cat trace_pipe <&- &
reader=$!
echo 1 > events/net/napi_gro_receive_entry/enable
echo 1 > events/net/netif_receive_skb_entry/enable
echo 1 > events/skb/consume_skb/enable
echo 1 > events/skb/kfree_skb/enable
cat > /dev/null
"""
_LINE = re.compile(r"\s(\d+\.\d+): (napi_gro_receive_entry|netif_receive_skb_entry|consume_skb|kfree_skb): (.*)")
_RECEIVED = re.compile(r"queue_mapping=(\d+) skbaddr=(\S+) .*? hash=(\S+) .*? len=(\d+) ")
_FCS = 4
_FRAME_EXTRA = 14 + _FCS  # and the Ethernet header, which the stack has taken off
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_PORT = 4000


@dataclass
class Recording:
    """What was seen: arrivals in ns per queue, frame lengths, flow hashes, times from arrival to free in ns."""

    interface: str
    arrivals: dict[int, list[int]] = field(default_factory=dict)
    lengths: Counter[int] = field(default_factory=Counter)
    flows: dict[int, set[str]] = field(default_factory=dict)
    held_ns: list[int] = field(default_factory=list)
    overrun: int = 0

    def read(self, lines: Iterable[str]) -> None:
        """Takes the lines of a trace."""
        begun: dict[str, int] = {}
        for line in lines:
            if line.startswith("overrun:"):
                self.overrun += int(line.partition(":")[2])
                continue
            if (found := _LINE.search(line)) is None:
                continue
            seconds, _, fraction = found[1].partition(".")
            now = int(seconds) * 10**9 + int(fraction.ljust(9, "0"))
            if (packet := _RECEIVED.search(found[3])) is not None:
                queue = max(int(packet[1]) - 1, 0)
                self.arrivals.setdefault(queue, []).append(now)
                self.lengths[max(int(packet[4]) + _FRAME_EXTRA, 64)] += 1
                self.flows.setdefault(queue, set()).add(packet[3])
                begun[packet[2]] = now
            elif (address := found[3].partition("skbaddr=")[2].split(" ")[0]) in begun:
                self.held_ns.append(now - begun.pop(address))

    def take(self, packets: npt.NDArray[Any]) -> None:
        """Takes what an attached recorder saw (``attaching.PACKET``), in the order of time."""
        for queue in np.unique(packets["queue"]):
            here = packets[packets["queue"] == queue]
            self.arrivals[int(queue)] = here["time_ns"].astype(int).tolist()
            self.flows[int(queue)] = set(here["flow"].astype(str))
        self.lengths.update(np.maximum(packets["length"].astype(int) + _FCS, 64).tolist())

    @property
    def duration_ms(self) -> float:
        """From the first arrival to the last, in whole milliseconds."""
        first = min(times[0] for times in self.arrivals.values())
        last = max(times[-1] for times in self.arrivals.values())
        return float((last - first) // 1_000_000 + 1)

    def held_quantiles(self) -> dict[str, float]:
        """Median and tail of the time from arrival to free; empty without one."""
        if not self.held_ns:
            return {}
        return {f"p{q:g}": float(np.percentile(self.held_ns, q)) for q in (50, 90, 99)}

    def scenario(self) -> dict[str, Any]:
        """A scenario with these arrivals, sizes and flows; one consumer keeps each packet as long as the median did."""
        first = min(times[0] for times in self.arrivals.values())
        queues = sorted(self.arrivals)
        cpus: dict[str, Any] = {f"cpu{position}": {} for position in range(len(queues) + 1)}
        service_ns = self.held_quantiles().get("p50", 0.0)
        total = sum(map(len, self.arrivals.values()))
        reader = {"service_ns": round(min(service_ns, 0.9 * self.duration_ms * 1e6 / total))}
        return {
            "question": f"What does a host make of the traffic recorded on {self.interface}?",
            "duration_ms": self.duration_ms,
            "cpus": cpus,
            "nics": {
                "nic0": {
                    "rx_queues": {f"rx{q}": {"cpu": f"cpu{position}"} for position, q in enumerate(queues)},
                    "ntuple": {
                        f"queue{q}": {"dst_port": _PORT + position, "protocol": "udp", "queue": f"rx{q}"}
                        for position, q in enumerate(queues)
                    },
                }
            },
            "sockets": {
                f"consumer{q}": {"port": _PORT + position, "cpu": f"cpu{len(queues)}", "reader": reader}
                for position, q in enumerate(queues)
            },
            "traffic": {f"queue{q}": self._traffic(q, _PORT + position, first) for position, q in enumerate(queues)},
            "record": {"every_us": 1000},
        }

    def _traffic(self, queue: int, port: int, first: int) -> dict[str, Any]:
        times = np.array(self.arrivals[queue]) - first
        counts, _ = np.histogram(times / 1e6, np.arange(0, int(self.duration_ms) + 1))
        rate = times.size / self.duration_ms * 1000
        changes = [i for i in range(counts.size) if i == 0 or counts[i] != counts[i - 1]]
        return {
            "nic": "nic0",
            "kind": "poisson",
            "rate_pps": rate,
            "schedule": {f"ms{i}": {"at_ms": i, "factor": float(counts[i] * 1000 / rate)} for i in changes},
            "sizes": {"kind": "empirical", "weights": {str(n): count for n, count in sorted(self.lengths.items())}},
            "flows": {"count": len(self.flows[queue]), "destination_ports": str(port)},
        }


def listen(interface: str, seconds: float) -> Recording:
    """Records in the driver's XDP hook, before any program could drop; nothing of the NIC is changed otherwise.

    How long packets are kept is not seen. The caller has consent. Raises :class:`InputError` as
    :func:`rxpool.kernel.attaching.attach` does, and exit 2 if no packet came.
    """
    from rxpool.kernel.attaching import attach

    done = attach(interface, seconds)
    if done.packets.size == 0:
        raise InputError(f"record: no packet of {interface} came within {seconds:g} s")
    seen = Recording(interface, overrun=done.report["seen"] - done.report["recorded"])
    seen.take(done.packets)
    return seen


def record(interface: str, seconds: float) -> Recording:
    """Records an interface. Raises :class:`InputError`: exit 3 without tracefs, exit 2 if no packet came."""
    if _NAME.fullmatch(interface) is None:
        raise InputError(f"record: {interface} is no name of an interface")
    demand("record", RECORD)
    with TemporaryFile("w+") as trace:
        tracer = subprocess.Popen(
            ["unshare", "-m", "bash", "-c", _SCRIPT, "record", interface],
            stdin=subprocess.PIPE,
            stdout=trace,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            time.sleep(seconds)
        finally:
            _, errors = tracer.communicate()  # closes its input, which ends it
        trace.seek(0)
        seen = Recording(interface)
        seen.read(trace)
    if not seen.arrivals:
        if tracer.returncode != 0:
            raise InputError(f"record: tracefs cannot be used: {errors.strip()[-200:]}", ExitCode.NOT_AVAILABLE)
        raise InputError(f"record: no packet of {interface} entered the stack within {seconds:g} s")
    return seen
