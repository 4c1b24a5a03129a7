"""A guest kernel with drivers that have rings: its NICs taken over, and what was seen against the twin."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import ROOT
from rxpool.kernel import nic_validating
from rxpool.kernel.attaching import PACKET, Attached
from rxpool.kernel.build import compiled, tree

RING, QUEUES = 256, 2

SCENARIO: dict[str, Any] = {
    "question": "How many pages has a driver outside of its pools whose packets are all dropped?",
    "warmup_ms": 0,
    "duration_ms": 4000,
    "cpus": {"cpu0": {}, "cpu1": {}},
    "nics": {
        "nic0": {
            "driver": "vmxnet3",
            "rx_ring": RING,
            "rx_queues": {f"rx{i}": {"cpu": f"cpu{i}"} for i in range(QUEUES)},
        }
    },
    "traffic": {"any": {"nic": "nic0", "kind": "constant", "rate_pps": 1000}},
    "policies": {"nic0": "drop"},
    "tolerance": 0.15,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a guest's attachments left."""
    for program in ("qemu-system-x86_64", "busybox", "cpio", "xz", "ethtool"):
        if shutil.which(program) is None:
            pytest.skip(f"a guest needs {program}")
    compiled("kernel/attach/rxpool-attach", "rxpool_attach_objects")
    compiled("kernel/guest/rxpool-guest-agent", "rxpool_guest_objects")
    place = tmp_path_factory.mktemp("guest")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/guest"), "--build", str(tree()), "--attach", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 3 and "did not end" not in done.stderr:
        pytest.skip(done.stderr.strip()[-300:])
    assert done.returncode == 0, done.stderr
    return place


def seen_by(folder: Path, nic: str) -> Attached:
    return Attached(json.loads((folder / f"{nic}.report").read_text()), np.fromfile(folder / f"{nic}.packets", PACKET))


@pytest.mark.full
def test_a_driver_with_a_ring_gets_another_one_and_its_own_back(folder: Path) -> None:
    report = seen_by(folder, "wire1").report
    assert report["settings"]["during"]["rx_ring"] == RING
    assert report["settings"]["during"]["rx_queues"] == QUEUES
    assert report["settings"]["before"]["rx_ring"] != RING
    assert report["settings"]["after"] == report["settings"]["before"]
    assert report["seen"] >= 2000


@pytest.mark.full
def test_a_driver_without_a_pool_is_taken_over_recorded_and_given_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = seen_by(folder, "wire0")  # virtio_net; before release 7.1 it takes its buffers elsewhere
    settings = seen.report["settings"]
    assert settings["during"]["rx_ring"] == 128
    assert settings["before"]["rx_ring"] != 128
    assert settings["after"] == settings["before"]
    assert 0 < seen.report["seen"] == seen.report["recorded"], "vmxnet3 may have sent less than it was given"
    assert seen.report["pools"] == []
    monkeypatch.setattr(nic_validating, "attach", lambda *_, **__: seen)
    nic = SCENARIO["nics"]["nic0"] | {"driver": "virtio_net", "rx_ring": 128}
    done = nic_validating.validate_nic(SCENARIO | {"nics": {"nic0": nic}, "policies": {}}, "wire0")
    assert list(done.table.quantity) == ["lost by the NIC, of the offered packets"], "no pool, no pages to compare"
    assert done.inside


@pytest.mark.full
def test_the_pages_outside_of_a_drivers_pools_are_its_ring_and_the_twins_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = seen_by(folder, "wire1")
    monkeypatch.setattr(nic_validating, "attach", lambda *_, **__: seen)
    table = nic_validating.validate_nic(SCENARIO, "wire1").table.set_index("quantity")
    print(table.to_string(), os.linesep, seen.report["missing"], seen.report["counters"])
    assert table.loc["outside_mean", "kernel"] == pytest.approx(RING * QUEUES, abs=64)
    assert table.inside.all(), table.to_string()
