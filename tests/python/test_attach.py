"""An attached NIC from the command: consent, what the recorder's packets become, both backends over one NIC."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import ROOT, Command
from kernel_lab import need_lab
from rxpool.kernel.attaching import PACKET
from rxpool.kernel.nic_validating import write_packets
from rxpool.kernel.recording import Recording

SCENARIO: dict[str, Any] = {
    "question": "How many pages does the attached end of a veth pair have outside?",
    "warmup_ms": 200,
    "duration_ms": 800,
    "cpus": {"cpu0": {}, "cpu1": {}},
    "nics": {"nic0": {"driver": "veth", "rx_ring": 256, "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "traffic": {"any": {"nic": "nic0", "kind": "constant", "rate_pps": 1000}},
    "policies": {"nic0": "drop"},
    "tolerance": 0.15,
}

# A NIC of its own with traffic, in namespaces that end with the shell.
IN_A_NAMESPACE = """
set -e
mount --make-rprivate / && mount -t sysfs sysfs /sys && mount -t tmpfs none /run && ip link set lo up
ip link add wire0 type veth peer name wire1
for end in wire0 wire1; do echo 1 > /proc/sys/net/ipv6/conf/$end/disable_ipv6; done
ip link set wire0 up && ip link set wire1 up
"$PYTHON" -c '
import socket, time
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("wire0", 0))
for _ in range(5000):
    raw.send(b"\\xff" * 6 + bytes(6) + b"\\x88\\xb5" + bytes(46))
    time.sleep(0.001)
' &
sender=$!
trap "kill $sender" EXIT
"$PYTHON" -m rxpool "$@"
"""


def in_a_namespace(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    need_lab()
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("a network namespace needs root and unshare")
    return subprocess.run(
        ["unshare", "-n", "-m", "bash", "-c", IN_A_NAMESPACE, "attach", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHON": sys.executable},
        timeout=120,
    )


def test_a_nic_is_taken_over_only_by_consent(rxpool_command: Command) -> None:
    situation = ROOT / "scenarios/kernel/steady-drop.json"
    done = rxpool_command("validate", situation, "--nic", "wire9")
    assert done.returncode == 2
    assert "say --take-over" in done.stderr
    done = rxpool_command("validate", situation, "--nic", "wire9", "--take-over")
    assert done.returncode == 2
    assert "there is nobody to ask; say --yes" in done.stderr
    done = rxpool_command("record", "wire9", "--listen")
    assert done.returncode == 2
    assert "there is nobody to ask; say --yes" in done.stderr


def test_the_recorders_packets_become_a_capture_with_their_lengths_and_ports(tmp_path: Path) -> None:
    packets = np.array([(5, 60, 4000, 7, 0, 17), (1_000_000_009, 1514, 80, 8, 1, 6)], PACKET)
    path = tmp_path / "seen.pcap"
    write_packets(path, packets)
    records = [path.read_bytes()[24 + i * 76 : 24 + (i + 1) * 76] for i in range(2)]
    assert [struct.unpack("<IIII", r[:16]) for r in records] == [(0, 5, 60, 60), (1, 9, 60, 1514)]
    assert [struct.unpack(">HH", r[50:54]) for r in records] == [(1031, 4000), (1032, 80)]
    assert [r[16 + 23] for r in records] == [17, 6]
    for record in records:
        assert sum(struct.unpack(">10H", record[30:50])) % 0xFFFF == 0, "the checksum of the IPv4 header"


def test_the_recorders_packets_become_a_recording() -> None:
    seen = Recording("wire1")
    seen.take(np.array([(5, 60, 4000, 7, 0, 17), (6, 1514, 80, 8, 1, 6), (2_000_009, 60, 80, 7, 0, 6)], PACKET))
    assert seen.arrivals == {0: [5, 2_000_009], 1: [6]}
    assert dict(seen.lengths) == {64: 2, 1518: 1}
    assert {queue: len(flows) for queue, flows in seen.flows.items()} == {0: 1, 1: 1}
    assert seen.scenario()["duration_ms"] == 3


def test_a_scenario_runs_on_an_attached_nic_and_in_its_twin(tmp_path: Path) -> None:
    (tmp_path / "nic.json").write_text(json.dumps(SCENARIO))
    options = ["--take-over", "--yes", "--repeats", "1", "--format", "json", "--to", "both.svg"]
    done = in_a_namespace(tmp_path, "validate", "nic.json", "--nic", "wire1", *options)
    assert done.returncode in (0, 1), done.stderr
    value = json.loads(done.stdout)
    rows = {row["quantity"]: row for row in value["quantities"]}
    assert set(rows) == {"outside_mean", "inflight_mean", "lost by the NIC, of the offered packets"}
    # Every packet is dropped at once: nothing but caches keeps a page on either side.
    assert rows["outside_mean"]["inside"], rows
    assert rows["lost by the NIC, of the offered packets"]["kernel"] == 0
    assert "traffic.any: what comes over the wire is taken" in value["not_honoured"]
    assert (tmp_path / "both.svg").exists()


def test_what_the_driver_refuses_is_told(tmp_path: Path) -> None:
    nic = SCENARIO["nics"] | {"nic0": {"driver": "mlx5", "rx_ring": 512, "rx_queues": {"rx0": {"cpu": "cpu0"}}}}
    (tmp_path / "nic.json").write_text(json.dumps(SCENARIO | {"nics": nic}))
    done = in_a_namespace(tmp_path, "validate", "nic.json", "--nic", "wire1", "--take-over", "--yes")
    assert done.returncode == 3, done.stderr
    assert "its driver has no ring to set" in done.stderr


def test_an_interface_is_listened_to_in_its_driver(tmp_path: Path) -> None:
    done = in_a_namespace(tmp_path, "record", "wire1", "--listen", "--yes", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    scenario = json.loads((tmp_path / "wire1.json").read_text())
    assert scenario["traffic"]["queue0"]["sizes"]["weights"].keys() == {"64"}
    assert 100 < scenario["traffic"]["queue0"]["rate_pps"] < 1100
