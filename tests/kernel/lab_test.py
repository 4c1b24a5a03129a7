"""The laboratory on this machine's kernel: ``lab_test.py BUILD_TREE``. Exit code 77: skipped, with the reason.

Speaks to rxpool-lab alone (a plan and a schedule), so it needs nothing but Python; what it checks holds on a busy host
too: packets and pages are conserved, bounds are exact, nothing is left behind. That a lab sends everything within its
time does not hold where a hypervisor takes the CPUs away (``steal``).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from left_behind import comes_back_to, quiet_state, system_state
from steal import undisturbed

TREE = Path(sys.argv[1] if len(sys.argv) > 1 else "build/release")
PROGRAM = TREE / "kernel/lab/rxpool-lab"
SKIPPED = 77
TRUESIZE = 4240  # of a live frame's skb
REMOTE = {"map": "cpus", "cpu": 1, "qsize": 64, "program": ""}


def plan(**changes: Any) -> dict[str, Any]:
    """A plan with one socket on port 4000."""
    socket = {"name": "service", "port": 4000, "cpu": 1, "rcvbuf": 106496, "batch": 1, "service_ns": 0, "rate_pps": 0}
    socket |= {"tcp": False, "paused": False, "pauses": []} | changes.pop("socket", {})
    document = {"duration_ms": 300, "sample_us": 1000, "batch": 64, "frame_bytes": 60, "generator_cpu": 0}
    document |= {"threaded": False, "napi_cpu": 0, "policy": "pass", "params": {}, "ports": [4000], "sockets": [socket]}
    document |= {"control": {}, "hz": 250, "remote": None, "xsk": None, "tcp": None, "warmup_ms": 50}
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


@contextlib.contextmanager
def busy(cpu: int) -> Iterator[None]:
    """Keeps a CPU from idling, in whose sleep the sampler's clock stands still."""
    spinner = subprocess.Popen(
        [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {{{cpu}}})\nos.nice(19)\nwhile True: pass"]
    )
    try:
        yield
    finally:
        spinner.kill()
        spinner.wait()


class Lab(unittest.TestCase):
    @undisturbed()
    def test_every_packet_is_sent_read_dropped_or_waiting(self) -> None:
        seen = run(plan(socket={"rate_pps": 5000, "rcvbuf": 1048576}), 4000, 50000)
        self.assertEqual(seen["counters"]["sent"], 4000)
        socket = seen["sockets"]["service"]
        lost = seen["series"]["tx_xdp_xmit_errors"][-1] + socket["drops"][-1]
        waiting = socket["rmem_alloc"][-1] // TRUESIZE
        self.assertAlmostEqual(socket["received"][-1] + lost + waiting, 4000, delta=70)

    @undisturbed()
    def test_a_paused_reader_holds_what_its_buffer_holds(self) -> None:
        seen = run(plan(socket={"paused": True}), 4000, 50000)
        socket = seen["sockets"]["service"]
        self.assertEqual(socket["rcvbuf"], 212992)
        bound = 212992 // TRUESIZE  # 50
        held = seen["series"]["held"][-20:]
        self.assertTrue(all(bound - 2 <= h <= bound + 70 for h in held), held)
        self.assertEqual(socket["received"][-1], 0)
        self.assertGreater(socket["drops"][-1], 3000)

    @undisturbed()
    def test_dropped_packets_leave_no_page_behind(self) -> None:
        seen = run(plan(policy="drop", sockets=[]), 20000, 10000)
        self.assertEqual(seen["counters"]["sent"], 20000)
        self.assertLessEqual(seen["series"]["held"][-1], 64)
        self.assertGreaterEqual(seen["series"]["inflight"][-1], seen["series"]["held"][-1])

    @undisturbed()
    def test_a_threaded_napi_polls_on_its_own_cpu(self) -> None:
        seen = run(plan(policy="drop", sockets=[], threaded=True, napi_cpu=1), 10000, 20000)
        drops = seen["series"]["tx_xdp_xmit_errors"][-1]
        self.assertEqual(seen["counters"]["poll_work"] + drops, 10000)

    @undisturbed()
    def test_the_kernels_own_sampler_sees_what_the_thread_sees_and_is_in_time(self) -> None:
        with busy(1):
            seen = run(plan(socket={"paused": True}), 4000, 50000)
        timer = seen["timer"]
        self.assertGreaterEqual(len(timer["held"]), 280)
        times = timer["time_ns"]
        gaps = sorted(after - before for before, after in itertools.pairwise(times))
        self.assertLess(gaps[len(gaps) // 2], 1_100_000)
        bound = 212992 // TRUESIZE
        late = [held for at, held in zip(times, timer["held"], strict=True) if 150e6 < at < 300e6]
        self.assertEqual(sorted(late)[len(late) // 2], sorted(seen["series"]["held"][-20:])[10])
        self.assertGreaterEqual(seen["peak_held"], bound)

    @undisturbed()
    def test_the_probes_say_what_they_cost(self) -> None:
        seen = run(plan(policy="drop", sockets=[]), 20000, 10000)
        self.assertGreaterEqual(seen["account_ns"], 50_000_000)
        self.assertGreater(seen["costs"]["on_poll"]["runs"], 1000)
        self.assertNotIn("pace", seen["costs"])
        for name, cost in seen["costs"].items():
            self.assertGreater(cost["time_ns"], 0, name)
            self.assertLess(cost["time_ns"] / cost["runs"], 20000, name)
        self.assertLess(seen["costs"]["on_poll"]["runs"], 20000, "only the warm-up is counted")

    @undisturbed()
    def test_an_af_xdp_socket_that_nobody_drains_takes_what_its_rings_hold(self) -> None:
        xsk = {"name": "app", "cpu": 1, "frames": 1024, "fill_ring": 1024, "rx_ring": 512, "batch": 64}
        xsk |= {"service_ns": 0, "paused": True, "pauses": []}
        seen = run(plan(policy="to_xsk", sockets=[], xsk=xsk), 4000, 50000)
        lost = seen["xsk"]["rx_dropped"][-1] + seen["xsk"]["rx_ring_full"][-1]
        self.assertEqual(seen["xsk"]["received"][-1], 0)
        self.assertEqual(lost, 4000 - 512)
        self.assertLessEqual(max(seen["series"]["held"]), 64 + 8, "its pages are the umem's, not the pool's")
        seen = run(plan(policy="to_xsk", sockets=[], xsk=xsk | {"paused": False}), 4000, 50000)
        lost = seen["xsk"]["rx_dropped"][-1] + seen["xsk"]["rx_ring_full"][-1]
        self.assertAlmostEqual(seen["xsk"]["received"][-1] + lost, 4000, delta=70)
        self.assertGreater(seen["xsk"]["received"][-1], 3000)

    @undisturbed()
    def test_a_tcp_sender_fills_the_window_of_a_paused_reader_and_no_more(self) -> None:
        tcp = {"port": 4000, "congestion_control": "cubic", "start_ms": 0}
        napi = {"threaded": True, "napi_cpu": 0, "generator_cpu": 1, "tcp": tcp}
        seen = run(plan(socket={"tcp": True, "rcvbuf": 524288, "paused": True}, **napi), 0, 1)
        socket = seen["sockets"]["service"]
        charged = socket["rmem_alloc"][-1]
        self.assertLessEqual(charged, socket["rcvbuf"] + 4352, "one segment may go beyond")
        self.assertGreater(charged, socket["rcvbuf"] * 0.7)
        # Each segment is a page of the queue's pool; charged is the page, and now and then an sk_buff with it.
        held = seen["series"]["held"][-1]
        self.assertAlmostEqual(held, charged / 4096, delta=charged / 4096 * 0.1)
        self.assertEqual(seen["series"]["sent"][-1], seen["series"]["sent"][-50], "the window is closed")
        seen = run(plan(socket={"tcp": True, "rcvbuf": 524288, "rate_pps": 5000}, **napi), 0, 1)
        received = seen["sockets"]["service"]["received"][-1]
        self.assertAlmostEqual(received, 1500, delta=300)
        self.assertGreaterEqual(seen["series"]["sent"][-1], received)

    def test_unknown_policies_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lab = start(folder, plan(policy="/nonexistent.bpf.o"), 10, 1000)
            _, errors = lab.communicate(timeout=30)
        self.assertEqual(lab.returncode, 2, errors)
        self.assertIn("/nonexistent.bpf.o", errors)

    def assert_comes_back_to(self, before: dict[str, Any]) -> None:
        self.assertEqual(comes_back_to(before), before)

    def wait_until_up(self, thread: str) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if any(name.startswith(thread) for name in system_state()["threads"]):
                self.assertIn("pace", system_state()["programs"])
                return
            time.sleep(0.05)
        self.fail("the lab never came up")

    def test_nothing_is_left_behind_by_a_run_or_a_killed_run(self) -> None:
        before = quiet_state()
        run(plan(threaded=True, napi_cpu=1), 1000, 20000)
        self.assert_comes_back_to(before)
        redirected = {"policy": "to_cpu", "remote": REMOTE}
        threaded = {"threaded": True, "napi_cpu": 1}
        tcp = {"tcp": {"port": 4000, "congestion_control": "cubic", "start_ms": 0}, "socket": {"tcp": True}}
        for thread, changes in (("napi/lr", threaded), ("cpumap/", redirected), ("napi/lr", threaded | tcp)):
            with self.subTest(thread), tempfile.TemporaryDirectory() as folder:
                lab = start(folder, plan(duration_ms=20000, **changes), 100000, 100000)
                self.wait_until_up(thread)
                self.assertIn("on_poll", system_state()["bpf_links"])
                lab.send_signal(signal.SIGKILL)
                lab.communicate()
                self.assert_comes_back_to(before)

    def test_a_lab_ends_with_whoever_asked_for_it(self) -> None:
        before = quiet_state()
        with tempfile.TemporaryDirectory() as folder:
            start(folder, plan(), 1, 1).communicate()  # the plan's files
            (Path(folder) / "plan.json").write_text(json.dumps(plan(duration_ms=20000, policy="to_cpu", remote=REMOTE)))
            command = [str(PROGRAM), *(f"{folder}/{name}" for name in ("plan.json", "schedule", "realised"))]
            parent = subprocess.Popen(
                [sys.executable, "-c", f"import subprocess; subprocess.run({command!r}, stdout=subprocess.DEVNULL)"],
                env=os.environ | {"RXPOOL_LAB_OBJECTS": str(PROGRAM.parent)},
            )
            self.wait_until_up("cpumap/")
            parent.kill()
            parent.wait()
            self.assert_comes_back_to(before)


if __name__ == "__main__":
    if not PROGRAM.exists():
        print(f"skipped: {PROGRAM} is not built")
        sys.exit(SKIPPED)
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: the lab needs two CPUs")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1], verbosity=2)
