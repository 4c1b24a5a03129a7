"""The kernel backend: what it asks for, what it compares, what it prints. Skips where this machine cannot."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT, Command
from kernel_lab import need_lab
from rxpool import InputError, load
from rxpool.kernel import softnet
from rxpool.kernel.lab import LabRun
from rxpool.kernel.plan import plan
from rxpool.kernel.twin import twin, unpolled, write_capture
from steal import undisturbed

SITUATIONS = ROOT / "scenarios/kernel"


@pytest.fixture(scope="session")
def lab() -> None:
    need_lab()


def entries(times_ns: list[int]) -> Any:
    """Sends at these times, flows 0, 1, 2 …, source 0."""
    return np.array([t << 24 | i << 8 for i, t in enumerate(times_ns)], dtype=np.uint64)


def test_a_capture_has_the_sends_to_the_nanosecond(tmp_path: Path) -> None:
    path = tmp_path / "sends.pcap"
    write_capture(path, entries([5, 1_000_000_007]), [4000], 60)
    data = path.read_bytes()
    assert struct.unpack("<I", data[:4])[0] == 0xA1B23C4D
    first, second = (data[24 + i * 76 : 24 + (i + 1) * 76] for i in range(2))
    assert struct.unpack("<IIII", first[:16]) == (0, 5, 60, 60)
    assert struct.unpack("<IIII", second[:16]) == (1, 7, 60, 60)
    ports = [struct.unpack(">HH", record[16 + 34 : 16 + 38]) for record in (first, second)]
    assert ports == [(1024, 4000), (1025, 4000)]
    header = struct.unpack(">10H", first[16 + 14 : 16 + 34])
    assert sum(header) % 0xFFFF == 0, "the checksum of the IPv4 header"


def test_the_twin_offers_what_was_sent_and_counts_waiting_frames_as_held() -> None:
    scenario = load(SITUATIONS / "reader-pause-small.json")
    planned = plan(scenario)
    # Into the reader's pause, which begins at 120 ms. The first still finds it waiting, and is alone until it was read:
    # what is read while others wait stays charged to the receive buffer (SK-34).
    sent = entries([120_000_000, *(121_000_000 + i * 100_000 for i in range(399))])
    one = twin(scenario, LabRun(planned, sent, np.arange(0, 500_000_000, 1_000_000)))
    total = one.metrics.groupby("metric").value.sum()
    assert total["rx_packets_phy"] == 400
    held = one.series[one.series.metric == "held"].set_index("time_ns").value
    assert held.max() == 50, "212992 / 4240 frames fit the receive buffer"
    inflight = one.series[one.series.metric == "inflight"].set_index("time_ns").value
    pd.testing.assert_series_equal(inflight, held + planned.document["batch"], check_names=False)


def test_what_waits_for_an_in_line_poll_is_bounded_by_the_sends() -> None:
    # Two frames, polled until the next batch of three begins 6.3 us later; then one that nothing follows.
    sent = np.array([1_000, 1_070, 7_370, 7_440, 7_510, 20_000])
    at = np.array([0, 1_000, 1_069, 1_070, 4_220, 7_369, 7_440, 7_510, 19_000, 20_000, 1_000_000])
    assert unpolled(sent, at).tolist() == [0, 1, 1, 2, 1, 1, 2, 3, 1, 1, 1]


def test_a_generator_that_sent_nothing_has_a_twin_that_holds_nothing() -> None:
    scenario = load(SITUATIONS / "steady-drop.json")
    planned = plan(scenario)
    one = twin(scenario, LabRun(planned, entries([]), np.arange(0, 500_000_000, 1_000_000)))
    assert one.metrics[one.metrics.metric == "rx_packets_phy"].value.sum() == 0
    assert (one.series[one.series.metric == "held"].value == 0).all()
    inflight = one.series[one.series.metric == "inflight"].value
    assert (inflight == planned.document["batch"]).all()


def test_a_generator_that_catches_up_fills_no_ring_of_its_own_cpu() -> None:
    # 2000 frames are late; the program takes far longer than the CPU of the lab did.
    busy = {"policies": {"veth0": {"program": "busy.bpf.c", "params": {"steps": 4000}}}}
    scenario = load(SITUATIONS / "steady-drop.json", set=busy)
    late = [200_800_000 + i // 64 * 10_000 + i % 64 * 70 for i in range(2000)]
    sent = entries([*(100_000_000 + i * 5_000 for i in range(2000)), *late])
    readings = np.arange(0, 500_000_000, 1_000_000) + 6_000
    series = twin(scenario, LabRun(plan(scenario), sent, readings)).series
    held = series[(series.metric == "held")].set_index("time_ns").value
    assert held[201_000_000] == pytest.approx(64 * (1 - (6_000 - 4_410) / (10_000 - 4_410)), abs=1)
    assert held.max() <= 64


LACKS = {
    "bpf": "CAP_BPF (loads BPF programs and maps)",
    "perfmon": "CAP_PERFMON (reads the page_pool's counters and attaches tracepoints)",
    "net_admin": "CAP_NET_ADMIN (makes the veth pair and attaches XDP programs)",
    "sys_admin": "CAP_SYS_ADMIN (makes the lab's network and mount namespaces)",
}
VERBS = [
    *((("validate", SITUATIONS / "steady-drop.json"), name, text) for name, text in LACKS.items()),
    (("calibrate", "--this-host"), "bpf", LACKS["bpf"]),
    (("record", "lo", "--seconds", "1"), "sys_admin", "CAP_SYS_ADMIN (mounts and reads tracefs)"),
    (("record", "wire9", "--listen", "--yes"), "perfmon", LACKS["perfmon"]),
    (
        ("validate", SITUATIONS / "steady-drop.json", "--nic", "wire9", "--take-over", "--yes"),
        "net_admin",
        "CAP_NET_ADMIN (sets queues and rings and attaches XDP programs)",
    ),
]


@pytest.mark.parametrize(("verb", "capability", "told"), VERBS)
def test_without_a_capability_a_verb_says_which_and_for_what(
    verb: tuple[Any, ...], capability: str, told: str, tmp_path: Path
) -> None:
    if shutil.which("setpriv") is None or os.geteuid() != 0:
        pytest.skip("taking a capability away needs root and setpriv")
    command = ["setpriv", f"--bounding-set=-{capability}", "--inh-caps=-all", sys.executable, "-m", "rxpool"]
    done = subprocess.run([*command, *map(str, verb)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert f"missing {told}\n" in done.stderr, "this one and no other"
    assert not list(tmp_path.iterdir())


def test_a_picture_of_no_known_kind_is_refused_before_anything_runs(rxpool_command: Command) -> None:
    done = rxpool_command("validate", SITUATIONS / "steady-drop.json", "--to", "picture.txt")
    assert done.returncode == 2
    assert "picture.txt: a picture is written as svg, png, pdf" in done.stderr


@pytest.mark.usefixtures("lab")
@undisturbed()
def test_validate_compares_both_backends_and_says_what_it_is_not(rxpool_command: Command, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    situation = SITUATIONS / "reader-pause-small.json"
    done = rxpool_command("validate", situation, "--repeats", 1, "--format", "json", "--to", "both.svg")
    assert done.returncode in (0, 1), done.stderr
    value = json.loads(done.stdout)
    assert any("kernel path validation, not NIC validation" in limit for limit in value["limits"])
    assert value["not_compared"]
    rows = {row["quantity"].rpartition(".")[2]: row for row in value["quantities"]}
    assert set(rows) == {
        "held_mean",
        "held_max",
        "inflight_mean",
        "lost before the stack, of the offered packets",
        "lost in sockets, of the offered packets",
    }
    for row in rows.values():
        assert row["inside"] == (abs(row["simulated"] - row["kernel"]) <= row["allowed"])
        assert row["error"] == pytest.approx(row["simulated"] - row["kernel"])
    assert value["inside"] == (done.returncode == 0)
    # The bound is exact on both sides: 50 frames fit the receive buffer; a batch of the generator may be on its way.
    assert 50 <= rows["held_max"]["kernel"] <= 50 + 64 + 2
    assert 50 <= rows["held_max"]["simulated"] <= 50 + 64 + 2
    assert rows["held_max"]["bound"] == rows["held_max"]["kernel"] - 50
    assert (tmp_path / "both.svg").read_text().count("<svg") == 1


@pytest.mark.usefixtures("lab")
@undisturbed()
def test_a_run_says_how_regular_its_samplers_were_and_what_its_probes_cost() -> None:
    from rxpool.kernel import run

    done = run(SITUATIONS / "threaded-overload.json")
    rx = "nics.veth0.rx_queues.rx0"
    assert done.value("probes", "timer_period_p50") == pytest.approx(1e6, rel=0.1)
    assert done.value("probes", "timer_period_p99") < 2e6, "an interrupt is in time whatever the CPUs do"
    timer = done.series[done.series.metric == "held_timer"]
    assert timer.value.max() == pytest.approx(done.value(rx, "held_max"), abs=64)
    assert done.value(rx, "held_peak") >= timer.value.median()
    assert 0 < done.probe_cost.sum() < 20
    assert 0 <= done.value("host", "steal") < 100
    assert "probes.on_poll" in done.probe_cost.index


def test_softnet_counters_are_summed_over_the_cpus(tmp_path: Path) -> None:
    path = tmp_path / "softnet_stat"
    path.write_text("0000000a 00000001 00000002 00000000 0\n00000010 00000000 00000003 00000000 0\n")
    seen = softnet.read(path)
    assert seen == {"softnet_processed": 26, "softnet_dropped": 1, "time_squeeze": 5}
    later = seen | {"time_squeeze": 7}
    assert softnet.gained(seen, later) == {"softnet_processed": 0, "softnet_dropped": 0, "time_squeeze": 2}


def test_a_softnet_counter_of_one_cpu_may_wrap_between_two_readings(tmp_path: Path) -> None:
    path = tmp_path / "softnet_stat"
    path.write_text("fffffffe 00000001 00000000\n00000005 00000000 00000000\n")
    before = softnet.read(path)
    path.write_text("00000003 00000001 00000000\n00000006 00000000 00000000\n")
    gained = softnet.gained(before, softnet.read(path))
    assert gained == {"softnet_processed": 6, "softnet_dropped": 0, "time_squeeze": 0}


@pytest.mark.usefixtures("lab")
@undisturbed()
def test_the_lab_writes_down_when_it_sent() -> None:
    from rxpool.kernel import run

    done = run(SITUATIONS / "reader-pause-small.json")
    assert done.value("host", "softnet_processed") >= done.value("sockets.service", "UdpInDatagrams")
    (one,) = done.runs
    planned, sent = one.plan.schedule >> np.uint64(24), one.sent >> np.uint64(24)
    assert sent.size == planned.size
    assert (np.diff(sent.astype(np.int64)) >= 0).all()
    assert (sent >= planned[: sent.size]).all(), "nothing is sent before its time"
    assert np.median(sent - planned) < 1_000_000
    assert done.value("nics.veth0", "rx_packets_phy") <= sent.size


@pytest.mark.usefixtures("lab")
@undisturbed()
def test_a_policy_with_a_signal_sheds_what_a_stalled_readers_socket_would_lose() -> None:
    from rxpool.kernel import run

    rx, service = "nics.veth0.rx_queues.rx0", "sockets.service"
    situation = SITUATIONS / "policy-signal.json"
    without = run(load(situation, policy="pass"))
    assert without.value(service, "UdpRcvbufErrors") > 1000
    assert without.value(rx, "held_max") > 480, "1048576 doubled and divided by 4240 is 494"
    shed = run(situation)
    assert shed.value(service, "UdpRcvbufErrors") == 0
    assert shed.value(rx, "xdp_drop") > 1000
    assert shed.value(rx, "held_max") < 450
    assert shed.value(rx, "signal_writes") > 500
    assert shed.value(rx, "signal_latency_p50") < shed.value(rx, "signal_age_p50") < 2 * 500_000
    assert 0 < shed.value(rx, "look_time_p25") <= shed.value(rx, "look_time_p50") <= shed.value(rx, "look_time_p75")
    states = shed.series[shed.series.metric == "working_set"]
    assert states.value.max() > 0, "the detector found a steady level"


def test_what_the_agent_cannot_see_or_do_is_left_out_by_name() -> None:
    control = {
        "detectors": {"seed": {"kind": "jiffies_counter"}, "mean": {"kind": "ewma"}},
        "breaker": "pages",
        "pool": {"returns": "immediate"},
    }
    planned = plan(load(SITUATIONS / "policy-signal.json", set={"control": control}))
    assert list(planned.document["control"]["detectors"]) == ["mean"]
    told = [text.partition(":")[0] for text in planned.not_honoured]
    assert told == ["control.detectors.seed", "control.breaker", "control.pool"]


@pytest.mark.usefixtures("lab")
def test_calibrate_prices_this_host_and_the_file_runs(rxpool_command: Command, tmp_path: Path) -> None:
    done = rxpool_command("calibrate", "--this-host", "--repeats", 1, "--to", "here.json", "--format", "json")
    if "run it again when the host is quieter" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    steps = {step["step"]: step for step in json.loads(done.stdout)["steps"]}
    file = json.loads((tmp_path / "here.json").read_text())
    measured = {name for name, step in file["steps"].items() if step["figure"] == "measured"}
    assert measured == set(steps)
    assert all("1 runs, quartiles" in file["steps"][name]["note"] for name in measured)
    assert 0.05 < steps["bpf_instruction"]["ns"] < 5
    assert file["era"] == os.uname().release
    changed = {"calibration": str(tmp_path / "here.json")}
    load(SITUATIONS / "slow-reader.json", set=changed, allow_path=True)


def test_the_lab_redirects_to_one_cpu_and_says_what_it_cannot() -> None:
    to_one = {"policies": {"veth0": {"program": "redirect", "params": {"cpu": "cpu1", "qsize": 64}}}}
    planned = plan(load(SITUATIONS / "steady-drop.json", set=to_one))
    assert planned.document["policy"] == "to_cpu"
    assert planned.remote == {"map": "cpus", "cpu": 1, "qsize": 64, "program": ""}
    of_policy = plan(load(SITUATIONS / "cpumap-small.json"))
    assert of_policy.remote == {"map": "cpus", "cpu": 1, "qsize": 192, "program": "busy_remote"}
    assert of_policy.not_honoured == ()
    two = {"policies.veth0.maps.cpus.entries.cpu0": 192}
    assert plan(load(SITUATIONS / "cpumap-small.json", set=two)).not_honoured == (
        "policies.veth0.maps.cpus.entries.cpu1: the lab writes one entry of a cpumap only",
    )
    several = {"policies": {"veth0": {"program": "redirect", "params": {"cpu": "cpu0,cpu1"}}}}
    with pytest.raises(InputError, match="several CPUs is not in the lab"):
        plan(load(SITUATIONS / "steady-drop.json", set=several))


@pytest.mark.usefixtures("lab")
@undisturbed()
def test_a_cpumap_in_overload_holds_its_queue_and_drops_the_rest() -> None:
    from rxpool.kernel import run

    done = run(SITUATIONS / "cpumap-large.json")
    assert done.value("policies.veth0.cpus.cpu1", "xdp_cpumap_enqueue_drops") > 1000
    assert done.value("nics.veth0.rx_queues.rx0", "held_max") == pytest.approx(2048 + 8 + 50, abs=80)


TRACE = """\
 x-1 [000] ..s1. 5.000001: napi_gro_receive_entry: dev=lan napi_id=0x1 queue_mapping=2 skbaddr=ffff01 vlan_tagged=0 \
vlan_proto=0x0 vlan_tci=0x0 protocol=0x0800 ip_summed=0 hash=0x0a l4_hash=1 len=46 data_len=0 truesize=768
 x-1 [000] ..s1. 5.000003: consume_skb: skbaddr=ffff02 location=free_it
 x-1 [001] ..s1. 5.000051: consume_skb: skbaddr=ffff01 location=free_it
 x-1 [000] ..s1. 5.004001: napi_gro_receive_entry: dev=lan napi_id=0x1 queue_mapping=1 skbaddr=ffff01 vlan_tagged=0 \
vlan_proto=0x0 vlan_tci=0x0 protocol=0x0800 ip_summed=0 hash=0x0b l4_hash=1 len=1500 data_len=0 truesize=768
overrun: 3
"""


def test_a_recording_has_queues_lengths_flows_and_times_to_free_but_no_address() -> None:
    from rxpool.kernel.recording import Recording

    seen = Recording("lan")
    seen.read(TRACE.splitlines())
    assert {queue: len(times) for queue, times in seen.arrivals.items()} == {1: 1, 0: 1}
    assert dict(seen.lengths) == {64: 1, 1518: 1}
    assert seen.held_ns == [50_000]
    assert seen.overrun == 3
    scenario = seen.scenario()
    assert scenario["duration_ms"] == 5
    assert scenario["traffic"]["queue1"]["schedule"]["ms0"] == {"at_ms": 0, "factor": 5}
    assert "ffff01" not in json.dumps(scenario)
    load(scenario)


@pytest.mark.usefixtures("lab")
@undisturbed()
def test_a_recorded_lab_becomes_a_scenario_that_runs(rxpool_command: Command, tmp_path: Path) -> None:
    from rxpool import run
    from rxpool.kernel.build import lab as program

    planned = plan(load(SITUATIONS / "slow-reader.json"))
    (tmp_path / "plan.json").write_text(json.dumps(planned.document | {"duration_ms": 8000}))
    entries([i * 200_000 for i in range(40_000)]).tofile(tmp_path / "schedule")
    command = [str(program()), *(str(tmp_path / name) for name in ("plan.json", "schedule", "realised"))]
    environment = os.environ | {"RXPOOL_LAB_OBJECTS": str(program().parent)}
    lab = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    try:
        time.sleep(0.5)
        done = rxpool_command("record", f"lr{lab.pid}", "--seconds", 1, "--to", "seen.json")
    finally:
        lab.kill()
        lab.wait()
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    scenario = load(tmp_path / "seen.json")
    assert scenario.resolved["traffic"]["queue0"]["rate_pps"] == pytest.approx(5000, rel=0.2)
    assert run(scenario).ledger["packets"].total > 1000


def test_recording_nothing_is_an_error(rxpool_command: Command) -> None:
    done = rxpool_command("record", "no such")
    assert done.returncode == 2
    assert "is no name of an interface" in done.stderr
