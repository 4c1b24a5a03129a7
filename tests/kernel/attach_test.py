"""An attached NIC on this machine's kernel: ``attach_test.py BUILD_TREE``. Exit code 77: skipped, with the reason.

The NIC is one end of a veth pair in a network namespace of the test's own. What a driver with rings adds is tried in
the guest (tools/guest --attach).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

from left_behind import comes_back_to, quiet_state, system_state
from steal import undisturbed

TREE = Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()
PROGRAM = TREE / "kernel/attach/rxpool-attach"
SKIPPED = 77
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
NIC, PEER, PORT = "wire1", "wire0", 4000


def shell(command: str) -> str:
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def own_namespace() -> None:
    """This process and its children get a network namespace and its /sys; both end with them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
        print(f"skipped: a network namespace needs CAP_SYS_ADMIN ({os.strerror(ctypes.get_errno())})")
        sys.exit(SKIPPED)
    shell("mount --make-rprivate / && mount -t sysfs sysfs /sys && ip link set lo up")


def rx_queues() -> int:
    text = shell(f"ethtool -l {NIC}")
    return int(text.partition("Current")[2].partition("RX:")[2].split()[0])


def xdp_attached() -> bool:
    return "xdp" in shell(f"ip link show {NIC}")


class Attach(unittest.TestCase):
    def setUp(self) -> None:
        shell(f"ip link add {PEER} numtxqueues 1 numrxqueues 1 type veth peer name {NIC} numtxqueues 2 numrxqueues 2")
        shell(f"ethtool -L {NIC} rx 1 tx 1")
        for name, number in ((PEER, 2), (NIC, 1)):
            shell(f"ip address add 198.18.0.{number}/24 dev {name} && ip link set {name} up")
        self.folder = tempfile.TemporaryDirectory()
        self.state = Path(self.folder.name) / "state"

    def tearDown(self) -> None:
        shell(f"ip link del {PEER}")
        self.folder.cleanup()

    def start(self, environment: dict[str, str] | None = None, **changes: Any) -> subprocess.Popen[str]:
        plan = {"interface": NIC, "duration_ms": 300, "rx_queues": 2, "state": str(self.state), "packets": 1000}
        path = Path(self.folder.name) / "plan.json"
        path.write_text(json.dumps(plan | changes))
        return subprocess.Popen(
            [str(PROGRAM), str(path), f"{self.folder.name}/packets"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"RXPOOL_ATTACH_OBJECTS": str(PROGRAM.parent)} | (environment or {}),
        )

    def wait_until(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def send(self, count: int) -> None:
        """UDP datagrams to port 4000 from the other end, which belongs to this namespace too: by packet socket."""
        mac = bytes.fromhex(Path(f"/sys/class/net/{NIC}/address").read_text().strip().replace(":", ""))
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 46, 0, 0, 64, 17, 0, b"\xc6\x12\x00\x02", b"\xc6\x12\x00\x01")
        frame = mac + bytes(6) + b"\x08\x00" + ip + struct.pack(">HHHH", 1000, PORT, 26, 0) + bytes(18)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((PEER, 0))
            for _ in range(count):
                raw.send(frame)

    def assert_as_before(self) -> None:
        self.wait_until(lambda: rx_queues() == 1 and not xdp_attached(), "queues and XDP come back")
        self.wait_until(lambda: not list(self.state.glob("*")), "the state file goes")

    @undisturbed()
    def test_a_nic_is_taken_over_watched_and_given_back(self) -> None:
        run = self.start(duration_ms=800)
        self.wait_until(xdp_attached, "the recorder is attached")
        time.sleep(0.5)
        self.send(200)
        out, errors = run.communicate(timeout=30)
        if run.returncode == 3:
            print(f"skipped: {errors.strip()}")
            sys.exit(SKIPPED)
        self.assertEqual(run.returncode, 0, errors)
        seen = json.loads(out)
        self.assertEqual(seen["settings"]["before"]["rx_queues"], 1)
        self.assertEqual(seen["settings"]["during"]["rx_queues"], 2)
        self.assertEqual(seen["settings"]["after"], seen["settings"]["before"])
        packets = Path(self.folder.name, "packets").read_bytes()
        self.assertEqual(len(packets), 16 * seen["recorded"])
        ours = [p for p in struct.iter_unpack("<QHHHBB", packets) if p[2] == PORT]
        self.assertEqual(len(ours), 200)
        self.assertEqual({(length, queue, protocol) for _, length, _, _, queue, protocol in ours}, {(60, 0, 17)})
        self.assertEqual(len({flow for _, _, _, flow, _, _ in ours}), 1)
        self.assertEqual(sorted(p[0] for p in ours), [p[0] for p in ours])
        self.assertGreaterEqual(seen["counters"]["statistics.rx_packets"], 200)
        # The queue that received has a pool, and takes its pages from the allocator in bulks.
        self.assertTrue(any(pool["page_pool_state_hold"] >= 64 for pool in seen["pools"]), seen["missing"])
        for pool in seen["pools"]:
            self.assertTrue(all(o <= i for o, i in zip(pool["outside"], pool["inflight"], strict=True)))
        self.assert_as_before()

    @undisturbed()
    def test_a_policy_runs_behind_the_recorder(self) -> None:
        run = self.start(policy="drop", duration_ms=800)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
            service.bind(("198.18.0.1", PORT))
            service.settimeout(0.2)
            self.wait_until(xdp_attached, "the recorder is attached")
            time.sleep(0.5)
            self.send(50)
            out, errors = run.communicate(timeout=30)
            self.assertEqual(run.returncode, 0, errors)
            self.assertGreaterEqual(json.loads(out)["seen"], 50)
            with self.assertRaises(TimeoutError):
                service.recv(100)

    def refuses(self, reason: str, **changes: Any) -> None:
        run = self.start(**changes)
        _, errors = run.communicate(timeout=30)
        self.assertEqual(run.returncode, 2, errors)
        self.assertIn(reason, errors)
        self.assertFalse(xdp_attached())
        self.assertEqual(rx_queues(), 1)

    def test_the_interface_of_a_default_route_is_not_touched(self) -> None:
        shell(f"ip route add default via 198.18.0.9 dev {NIC}")
        self.refuses(f"{NIC} carries a default route")
        shell(f"ip route del default && ip -6 route add default via fe80::9 dev {NIC}")
        self.refuses(f"{NIC} carries a default route")

    def test_the_interface_of_the_connection_is_not_touched(self) -> None:
        over = {"SSH_CONNECTION": "198.18.0.7 50000 198.18.0.1 22"}
        self.refuses("the connection that this is called over (198.18.0.1)", environment=over)
        elsewhere = {"SSH_CONNECTION": "198.18.1.7 50000 198.18.1.1 22"}
        run = self.start(environment=elsewhere, duration_ms=10)
        _, errors = run.communicate(timeout=30)
        self.assertEqual(run.returncode, 0, errors)

    def test_one_nic_has_one_user(self) -> None:
        first = self.start(duration_ms=2000)
        self.wait_until(xdp_attached, "the first is attached")
        second = self.start()
        _, errors = second.communicate(timeout=30)
        self.assertEqual(second.returncode, 2)
        self.assertIn("another process has taken it", errors)
        self.assertTrue(xdp_attached())
        first.send_signal(signal.SIGTERM)
        _, errors = first.communicate(timeout=30)
        self.assertEqual(first.returncode, 0, errors)
        self.assert_as_before()

    def test_a_killed_user_leaves_nothing_behind_or_changed(self) -> None:
        before = quiet_state()
        run = self.start(duration_ms=20000)
        self.wait_until(lambda: xdp_attached() and rx_queues() == 2, "it is attached")
        self.assertIn("record", system_state()["bpf_links"])
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=30)
        self.assert_as_before()
        self.assertEqual(comes_back_to(before), before)

    def test_a_user_that_hangs_is_ended_by_the_dead_man_timer(self) -> None:
        run = self.start(duration_ms=20000, dead_man_s=1)
        self.wait_until(lambda: xdp_attached() and rx_queues() == 2, "it is attached")
        run.send_signal(signal.SIGSTOP)
        run.communicate(timeout=30)
        self.assertEqual(run.returncode, -signal.SIGKILL)
        self.assert_as_before()

    def kill_both(self) -> Path:
        """User and guardian at once: the state file is all that is left."""
        run = self.start(duration_ms=20000)
        self.wait_until(lambda: xdp_attached() and rx_queues() == 2, "it is attached")
        guardian = int(Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text())
        run.send_signal(signal.SIGSTOP)
        os.kill(guardian, signal.SIGKILL)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=30)
        self.wait_until(lambda: not xdp_attached(), "the link goes with the user")
        self.assertEqual(rx_queues(), 2)
        (state,) = self.state.glob("*")
        return state

    def recover(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(shell(f"{PROGRAM} --recover {self.state}"))
        return told

    def test_what_killed_users_left_is_restored_by_the_next(self) -> None:
        self.kill_both()
        self.assertEqual(self.recover(), {"restored": [NIC], "not_restored": [], "in_use": []})
        self.assert_as_before()
        self.kill_both()
        run = self.start(duration_ms=10)
        _, errors = run.communicate(timeout=30)
        self.assertEqual(run.returncode, 0, errors)
        self.assertIn(f"{NIC}: restored what an earlier use left changed", errors)
        self.assert_as_before()

    def test_a_state_of_an_earlier_boot_restores_nothing(self) -> None:
        state = self.kill_both()
        state.write_text(json.dumps(json.loads(state.read_text()) | {"boot_id": "another"}))
        self.assertEqual(self.recover(), {"restored": [], "not_restored": [], "in_use": []})
        self.assertEqual(rx_queues(), 2)
        self.assertFalse(state.exists())


if __name__ == "__main__":
    if not PROGRAM.exists():
        print(f"skipped: {PROGRAM} is not built")
        sys.exit(SKIPPED)
    own_namespace()
    unittest.main(argv=sys.argv[:1], verbosity=2)
