"""Policies in Python: load, compile, run on bytes, maps as mappings."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rxpool
from policy_packets import udp_frame
from rxpool.errors import ExitCode, InputError
from rxpool.policy import Policy
from rxpool.shipped import shipped_folder

MAPS = """
#include "policy.bpf.h"
struct limits { __u32 rate; __s16 burst; __u8 mark[4]; struct { __u64 seen; } inner; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, struct limits); }
    flows SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 3); __type(key, __u32); __type(value, __u32); } odd
    SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64); }
    hits SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
const volatile __u32 verdict = XDP_PASS;
__u64 total;
SEC("xdp") int counting(struct xdp_md *ctx)
{
    __u32 key = 1, length = ctx->data_end - ctx->data;
    __u64 *hit = bpf_map_lookup_elem(&hits, &key);
    struct limits *limit = bpf_map_lookup_elem(&flows, &length);
    if (hit) *hit += 1;
    if (limit) limit->inner.seen += length;
    total += length;
    bpf_ringbuf_output(&events, &length, sizeof(length), 0);
    return verdict;
}
char LICENSE[] SEC("license") = "Dual BSD/GPL";
"""


@pytest.fixture(scope="module")
def counting_object() -> bytes:
    return Policy.from_c(MAPS, "counting").code


@pytest.fixture
def counting(counting_object: bytes) -> Policy:
    return Policy(counting_object, "counting", cpus=3)


def test_a_shipped_policy_runs_on_bytes() -> None:
    policy = rxpool.Policy.load("drop_udp_port", params={"port": 53})
    runs = policy.run([udp_frame(53), udp_frame(54), udp_frame(53)[:20]])
    assert [run.verdict for run in runs] == ["XDP_DROP", "XDP_PASS", "XDP_PASS"]
    assert runs[1].packet == udp_frame(54)
    assert runs[0].instructions > runs[2].instructions > 10
    assert policy.maps["verdicts"][1] == [1]
    assert policy.maps["verdicts"][2] == [2]


def test_params_are_checked_by_name_and_range() -> None:
    with pytest.raises(InputError, match='no knob "prot"; it has port'):
        Policy.load("drop_udp_port", params={"prot": 1})
    with pytest.raises(InputError, match=r"port = 70000 does not fit"):
        Policy.load("drop_udp_port", params={"port": 70000})


def test_map_values_are_read_and_written_by_field(counting: Policy) -> None:
    flows = counting.maps["flows"]
    flows[60] = {"rate": 5, "burst": -2, "mark": [1, 2, 3, 4]}
    counting.run([bytes(60)] * 2)
    assert flows[60] == {"rate": 5, "burst": -2, "mark": [1, 2, 3, 4], "inner.seen": 120}
    assert list(flows) == [60]
    assert 61 not in flows
    del flows[60]
    assert len(flows) == 0
    with pytest.raises(KeyError):
        del flows[60]
    with pytest.raises(InputError, match=r"no field 'speed'; it has rate, burst, mark, inner\.seen"):
        flows[1] = {"speed": 1}
    with pytest.raises(InputError, match="does not fit"):
        flows[1] = {"burst": 40000}
    with pytest.raises(InputError, match="3 bytes given, it has 24"):
        flows[1] = b"abc"


def test_a_full_map_gives_the_kernels_error(counting: Policy) -> None:
    flows = counting.maps["flows"]
    for key in range(4):
        flows[key] = bytes(24)
    with pytest.raises(InputError, match="E2BIG"):
        flows[9] = bytes(24)
    with pytest.raises(InputError, match="E2BIG"):
        counting.maps["odd"][3] = 1


def test_arrays_are_the_programs_own_memory(counting: Policy) -> None:
    odd = counting.maps["odd"].array  # values of 4 bytes lie 8 apart
    assert odd.dtype == np.uint32
    assert odd.shape == (3,)
    odd[1] = 77
    assert counting.maps["odd"][1] == 77
    hits = counting.maps["hits"].array
    assert hits.shape == (3, 2)
    counting.run([bytes(60)], cpu=2)
    assert hits[2, 1] == 1
    assert counting.maps["hits"][1] == [0, 0, 1]
    counting.maps["hits"][1] = [4, 5, 6]
    assert hits[:, 1].tolist() == [4, 5, 6]
    del counting
    assert odd[1] == 77  # the view keeps the memory alive


def test_data_sections_and_ring_buffers_show(counting: Policy) -> None:
    counting.run([bytes(60), bytes(64)])
    assert counting.maps[".bss"][0] == {"total": 124}
    assert [int.from_bytes(record, "little") for record in counting.maps["events"].drain()] == [60, 64]
    assert counting.maps["events"].drain() == []
    with pytest.raises(InputError, match="constants are set when the policy is loaded"):
        counting.maps[".rodata"][0] = bytes(4)
    with pytest.raises(InputError, match="only arrays"):
        _ = counting.maps["flows"].array


def test_engines_agree_and_pickling_begins_afresh(counting_object: bytes) -> None:
    answers = []
    for engine in ("jit", "interpreter", "checked"):
        policy = Policy(counting_object, "counting", engine=engine, params={"verdict": 3})
        answers.append((policy.run([bytes(60), bytes(70)]), policy.maps["hits"].raw(), policy.maps[".bss"].raw()))
        again = pickle.loads(pickle.dumps(policy))
        assert again.digest == policy.digest
        assert again.run_one(bytes(60)).verdict == "XDP_TX"
        assert again.maps["hits"][1] == [1]
    assert answers[0] == answers[1] == answers[2]


def test_an_endless_program_is_ended_and_named() -> None:
    policy = Policy.from_c(
        """
#include "policy.bpf.h"
SEC("xdp") int endless(struct xdp_md *ctx)
{
    for (volatile int i = 0;; i++) if (i < 0) return XDP_PASS;
}
char LICENSE[] SEC("license") = "Dual BSD/GPL";
"""
    )
    done = policy.run_one(bytes(60))
    assert (done.verdict, done.abort) == ("XDP_ABORTED", "fuel")
    assert "more than 1000000 instructions" in policy.last_abort()


def test_packets_that_need_fragments_are_refused(counting: Policy) -> None:
    assert counting.run_one(bytes(3520)).verdict == "XDP_PASS"
    with pytest.raises(InputError, match="9000 bytes needs multi-buffer XDP"):
        counting.run_one(bytes(9000))


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ('#include "/etc/passwd"', "/etc/passwd|error"),
        ('#include "../udp-flood.json"', "outside its include folder|error"),
        ('asm(".section x\\n.incbin \\"/etc/passwd\\"");', "directives"),
        ("int nonsense = unknown;", "unknown"),
    ],
)
def test_from_c_reads_no_file_outside_its_include_folder(top: str, message: str) -> None:
    source = f'#include "policy.bpf.h"\n{top}\nSEC("xdp") int p(struct xdp_md *c) {{ return 2; }}\n'
    with pytest.raises(InputError, match=message) as caught:
        Policy.from_c(source)
    assert caught.value.code == ExitCode.POLICY_REJECTED
    assert "root:" not in str(caught.value)


def test_the_include_folder_can_be_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.h").write_text("#define MINE 1\n")
    source = """
#include <linux/bpf.h>
#include "mine.h"
__attribute__((section("xdp"), used)) int p(struct xdp_md *ctx) { return MINE; }
"""
    assert Policy.from_c(source, include=tmp_path).run_one(bytes(60)).verdict == "XDP_DROP"
    with pytest.raises(InputError):
        Policy.from_c(source)


def test_a_wrong_object_is_one_line(tmp_path: Path) -> None:
    for data in (b"", b"\x7fELF", bytes(range(256)) * 20):
        with pytest.raises(InputError) as caught:
            Policy(data, "wrong")
        assert caught.value.code == ExitCode.POLICY_REJECTED
        assert "\n" not in str(caught.value)
    big = tmp_path / "big.bpf.o"
    with big.open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(InputError, match="too large"):
        Policy.load(big)


def test_control_flow_is_a_graph_in_dot(counting: Policy) -> None:
    dot = counting.dot()
    assert dot.startswith("digraph")
    assert "counting:" in dot
    assert "; bpf_map_lookup_elem" in dot
    assert dot.count("->") >= 4
    with pytest.raises(InputError, match='no program "other"'):
        counting.dot("other")


FAULTS = """
import ctypes, faulthandler, sys
from rxpool.policy import Policy

SOURCE = '''
#include "policy.bpf.h"
SEC("xdp") int outside(struct xdp_md *ctx) { return *((__u8 *)(long)ctx->data + 100000); }
char LICENSE[] SEC("license") = "Dual BSD/GPL";
'''

def contained(policy):
    done = policy.run_one(bytes(60))
    print(done.verdict, done.abort, flush=True)

if sys.argv[1] == "before":
    faulthandler.enable()
policy = Policy.from_c(SOURCE)
contained(policy)
if sys.argv[1] == "after":
    faulthandler.enable()
contained(policy)
ctypes.string_at(8)
"""


def test_a_policy_file_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = Path(shipped_folder()) / "policies" / "drop_udp_port.bpf.c"
    (tmp_path / "mine.bpf.c").write_text(source.read_text())
    (tmp_path / "mine.bpf.o").write_bytes(Policy.load("mine.bpf.c").code)
    flood = Path(shipped_folder()) / "udp-flood.json"
    for name in ("mine.bpf.c", "mine.bpf.o", "nic0=./mine.bpf.c"):
        assert rxpool.load(flood, policy=name).policy == "mine"
    with pytest.raises(InputError, match=r"other\.bpf\.c"):
        rxpool.load(flood, policy="other.bpf.c")


@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_the_fault_handler_lives_beside_pythons(when: str, tmp_path: Path) -> None:
    script = tmp_path / "faults.py"
    script.write_text(FAULTS)
    done = subprocess.run([sys.executable, str(script), when], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["XDP_ABORTED memory"] * 2
    assert done.returncode == -signal.SIGSEGV
    assert ("Fatal Python error: Segmentation fault" in done.stderr) == (when != "never")
