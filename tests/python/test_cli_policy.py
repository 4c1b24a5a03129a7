"""``rxpool policy check`` and ``rxpool policy run``."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from conftest import Command
from policy_packets import udp_frame, write_pcap
from rxpool import _core
from rxpool.policy import Policy


def kernel_says() -> str:
    """Empty where programs can be loaded, else the reason."""
    _, word, reason = _core.ask_kernel(Policy.load("drop_udp_port")._core)[0]
    return "" if word == "accepts" else reason


def test_check_says_what_a_policy_needs(rxpool_command: Command) -> None:
    done = rxpool_command("policy", "check", "heavy_hitter_shed", "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    bound, soft = found["programs"]
    assert bound["needs"]["kfuncs"] == ["bpf_xdp_metadata_rx_hash"]
    assert "bpf_loop" in bound["needs"]["helpers"]
    assert bound["kernel_gives"].startswith("only when bound to a device")
    assert soft["needs"]["kfuncs"] == []
    assert "rxpool_signal" in soft["needs"]["maps"]
    assert found["params"]["window"] > 0


def test_check_tells_hooks_that_no_kernel_has(rxpool_command: Command) -> None:
    found = json.loads(rxpool_command("policy", "check", "codel_return", "-f", "json").stdout)
    only_here = {p["name"]: p for p in found["programs"] if p["hook"] == "rxpool/return"}
    assert only_here
    for program in only_here.values():
        assert program["kernel"] == "not asked (no such hook in this kernel)"


def test_check_prints_the_kernels_last_log_line(rxpool_command: Command, tmp_path: Path) -> None:
    if reason := kernel_says():
        pytest.skip(reason)
    (tmp_path / "loose.bpf.c").write_text(
        '#include "policy.bpf.h"\n'
        'SEC("xdp") int loose(struct xdp_md *ctx) { return *(__u8 *)(long)ctx->data; }\n'
        'char LICENSE[] SEC("license") = "Dual BSD/GPL";\n'
    )
    done = rxpool_command("policy", "check", "loose.bpf.c")
    assert done.returncode == 0, done.stderr
    assert "kernel:" in done.stdout
    assert "refuses (invalid access to packet" in done.stdout or "refuses (R" in done.stdout
    assert "accepts" in rxpool_command("policy", "check", "drop_udp_port").stdout


def test_check_writes_the_control_flow(rxpool_command: Command, tmp_path: Path) -> None:
    assert rxpool_command("policy", "check", "syn_guard", "--dot", "syn.dot").returncode == 0
    text = (tmp_path / "syn.dot").read_text()
    assert text.startswith("digraph")
    assert rxpool_command("policy", "check", "syn_guard", "--dot", "-").stdout == text


def test_check_without_privilege_asks_nobody(rxpool_command: Command) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv to give the privilege up")
    code = "import sys; from rxpool.cli import main; sys.exit(main())"
    import subprocess
    import sys

    drop = [
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--ambient-caps=-all",
        "--reuid=65534",
        "--clear-groups",
    ]
    done = subprocess.run(
        [*drop, sys.executable, "-c", code, "policy", "check", "drop_udp_port"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if done.returncode != 0 and "Permission" in done.stderr:
        pytest.skip("another user cannot read the checkout")
    assert done.returncode == 0, done.stderr
    assert "not asked (the kernel loads no XDP program here" in done.stdout


@pytest.mark.parametrize("words", [["policy", "check"], ["policy", "run", "--packet", "x.pcap"]])
def test_a_refused_object_is_exit_4(rxpool_command: Command, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "wrong.bpf.o").write_bytes(b"\x7fELF" + bytes(200))
    done = rxpool_command(*words, "wrong.bpf.o")
    assert done.returncode == 4
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_run_counts_verdicts_and_shows_maps(rxpool_command: Command, tmp_path: Path) -> None:
    write_pcap(tmp_path / "some.pcap", [udp_frame(9), udp_frame(53), udp_frame(9)])
    done = rxpool_command("policy", "run", "drop_udp_port", "--packet", "some.pcap", "-f", "json", "--repeat", 4)
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert value["verdicts"] == {"XDP_DROP": 2, "XDP_PASS": 1}
    assert value["maps"]["verdicts"]["content"] == [{"key": 1, "value": [8]}, {"key": 2, "value": [4]}]
    assert (value["packets"], value["repeat"], value["backend"]) == (3, 4, "sim")
    table = rxpool_command("policy", "run", "drop_udp_port", "--packet", "some.pcap").stdout
    assert "XDP_DROP" in table
    assert "map verdicts" in table


def test_the_captures_own_times_are_the_programs_clock(rxpool_command: Command, tmp_path: Path) -> None:
    frames = [udp_frame(53)] * 20
    verdicts = {}
    for gap_us in (1, 100_000):
        write_pcap(tmp_path / "t.pcap", frames, gap_us=gap_us)
        words = ["policy", "run", "token_bucket", "--packet", "t.pcap", "--param", "rate_pps=100", "--param", "burst=2"]
        verdicts[gap_us] = json.loads(rxpool_command(*words, "-f", "json").stdout)["verdicts"]
    assert verdicts[1]["XDP_DROP"] > 10
    assert "XDP_DROP" not in verdicts[100_000]


def test_run_in_the_kernel_gives_the_same_verdicts(rxpool_command: Command, tmp_path: Path) -> None:
    if reason := kernel_says():
        pytest.skip(reason)
    write_pcap(tmp_path / "some.pcap", [udp_frame(port) for port in (9, 53, 9, 80)])
    words = ["policy", "run", "drop_udp_port", "--packet", "some.pcap", "-f", "json", "--backend"]
    sim, kernel = (json.loads(rxpool_command(*words, backend).stdout) for backend in ("sim", "kernel"))
    assert sim["verdicts"] == kernel["verdicts"] == {"XDP_DROP": 2, "XDP_PASS": 2}
    for element in kernel["maps"]["verdicts"]["content"]:
        assert sum(element["value"]) == 2


def test_frames_that_no_policy_takes_are_named(rxpool_command: Command, tmp_path: Path) -> None:
    write_pcap(tmp_path / "jumbo.pcap", [udp_frame(9), bytes(9000)])
    done = rxpool_command("policy", "run", "drop_udp_port", "--packet", "jumbo.pcap")
    assert (done.returncode, done.stdout) == (2, "")
    assert "frame 2 has 9000 bytes and needs multi-buffer XDP" in done.stderr
    write_pcap(tmp_path / "cut.pcap", [udp_frame(9)], wire_extra=1000)
    done = rxpool_command("policy", "run", "drop_udp_port", "--packet", "cut.pcap")
    assert done.returncode == 0
    assert "1 of 1 frames were captured in part" in done.stderr
    (tmp_path / "text.pcap").write_text("no capture")
    assert rxpool_command("policy", "run", "drop_udp_port", "--packet", "text.pcap").returncode == 2


def test_params_of_the_command_line_are_numbers(rxpool_command: Command) -> None:
    assert "port=53" in rxpool_command("policy", "check", "drop_udp_port", "--param", "port=53").stdout
    done = rxpool_command("policy", "check", "drop_udp_port", "--param", "port=http")
    assert done.returncode == 2
    assert "whole numbers" in done.stderr
