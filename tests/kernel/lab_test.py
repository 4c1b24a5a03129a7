"""The laboratory on this machine's kernel: ``lab_test.py BUILD_TREE``. Exit code 77: skipped, with the reason.

Speaks to rxpool-lab alone (a plan and a schedule), so it needs nothing but Python; what it checks holds on a busy host
too: packets and pages are conserved, bounds are exact, nothing is left behind.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

TREE = Path(sys.argv[1] if len(sys.argv) > 1 else "build/release")
PROGRAM = TREE / "kernel/lab/rxpool-lab"
SKIPPED = 77
TRUESIZE = 4240  # of a live frame's skb


def plan(**changes: Any) -> dict[str, Any]:
    """A plan with one socket on port 4000."""
    socket = {"name": "service", "port": 4000, "cpu": 1, "rcvbuf": 106496, "batch": 1, "service_ns": 0, "rate_pps": 0}
    socket |= {"paused": False, "pauses": []} | changes.pop("socket", {})
    document = {"duration_ms": 300, "sample_us": 1000, "batch": 64, "frame_bytes": 60, "generator_cpu": 0}
    document |= {"threaded": False, "napi_cpu": 0, "policy": "pass", "params": {}, "ports": [4000], "sockets": [socket]}
    document |= {"control": {}, "hz": 250}
    return document | changes


def start(folder: str, document: dict[str, Any], packets: int, gap_ns: int) -> subprocess.Popen[str]:
    """The lab with that plan and a constant rate."""
    schedule = b"".join(struct.pack("<Q", (i * gap_ns) << 24) for i in range(packets))
    (Path(folder) / "schedule").write_bytes(schedule)
    (Path(folder) / "plan.json").write_text(json.dumps(document))
    return subprocess.Popen(
        [str(PROGRAM), f"{folder}/plan.json", f"{folder}/schedule", f"{folder}/realised"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RXPOOL_LAB_OBJECTS": str(PROGRAM.parent)},
    )


def run(document: dict[str, Any], packets: int, gap_ns: int) -> dict[str, Any]:
    """What the lab saw."""
    with tempfile.TemporaryDirectory() as folder:
        lab = start(folder, document, packets, gap_ns)
        out, errors = lab.communicate(timeout=60)
    if lab.returncode == 3:
        print(f"skipped: {errors.strip()}")
        sys.exit(SKIPPED)
    if lab.returncode != 0:
        raise AssertionError(f"rxpool-lab ended with {lab.returncode}: {errors}")
    seen: dict[str, Any] = json.loads(out)
    return seen


def system_state() -> dict[str, Any]:
    """What a lab could leave behind: links here, named namespaces, threads of a threaded NAPI."""
    links = sorted(entry.name for entry in Path("/sys/class/net").iterdir())
    named = sorted(entry.name for entry in Path("/run/netns").glob("*"))
    threads = []
    for entry in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = entry.read_text().strip()
        except OSError:
            continue
        if name.startswith("napi/lr"):
            threads.append(name)
    return {"links": links, "namespaces": named, "threads": threads}


class Lab(unittest.TestCase):
    def test_every_packet_is_sent_read_dropped_or_waiting(self) -> None:
        seen = run(plan(socket={"rate_pps": 5000, "rcvbuf": 1048576}), 4000, 50000)
        self.assertEqual(seen["counters"]["sent"], 4000)
        socket = seen["sockets"]["service"]
        lost = seen["series"]["tx_xdp_xmit_errors"][-1] + socket["drops"][-1]
        waiting = socket["rmem_alloc"][-1] // TRUESIZE
        self.assertAlmostEqual(socket["received"][-1] + lost + waiting, 4000, delta=70)

    def test_a_paused_reader_holds_what_its_buffer_holds(self) -> None:
        seen = run(plan(socket={"paused": True}), 4000, 50000)
        socket = seen["sockets"]["service"]
        self.assertEqual(socket["rcvbuf"], 212992)
        bound = 212992 // TRUESIZE  # 50
        held = seen["series"]["held"][-20:]
        self.assertTrue(all(bound - 2 <= h <= bound + 70 for h in held), held)
        self.assertEqual(socket["received"][-1], 0)
        self.assertGreater(socket["drops"][-1], 3000)

    def test_dropped_packets_leave_no_page_behind(self) -> None:
        seen = run(plan(policy="drop", sockets=[]), 20000, 10000)
        self.assertEqual(seen["counters"]["sent"], 20000)
        self.assertLessEqual(seen["series"]["held"][-1], 64)
        self.assertGreaterEqual(seen["series"]["inflight"][-1], seen["series"]["held"][-1])

    def test_a_threaded_napi_polls_on_its_own_cpu(self) -> None:
        seen = run(plan(policy="drop", sockets=[], threaded=True, napi_cpu=1), 10000, 20000)
        drops = seen["series"]["tx_xdp_xmit_errors"][-1]
        self.assertEqual(seen["counters"]["poll_work"] + drops, 10000)

    def test_unknown_policies_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lab = start(folder, plan(policy="/nonexistent.bpf.o"), 10, 1000)
            _, errors = lab.communicate(timeout=30)
        self.assertEqual(lab.returncode, 2, errors)
        self.assertIn("/nonexistent.bpf.o", errors)

    def test_nothing_is_left_behind_by_a_run_or_a_killed_run(self) -> None:
        before = system_state()
        run(plan(threaded=True, napi_cpu=1), 1000, 20000)
        with tempfile.TemporaryDirectory() as folder:
            lab = start(folder, plan(duration_ms=20000, threaded=True, napi_cpu=1), 100000, 100000)
            deadline = time.monotonic() + 20
            while not system_state()["threads"] and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertTrue(system_state()["threads"], "the lab never came up")
            lab.send_signal(signal.SIGKILL)
            lab.communicate()
        deadline = time.monotonic() + 20
        while system_state() != before and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(system_state(), before)


if __name__ == "__main__":
    if not PROGRAM.exists():
        print(f"skipped: {PROGRAM} is not built")
        sys.exit(SKIPPED)
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: the lab needs two CPUs")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1], verbosity=2)
