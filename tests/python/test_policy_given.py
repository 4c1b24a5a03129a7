"""Python functions and Policy objects in the simulated host."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

import rxpool
import shedding
from conftest import Command
from rxpool.comparing import compare
from rxpool.errors import ExitCode, InputError
from rxpool.policy import Policy
from rxpool.scenario import load

SHED_ALL = """
#include "policy.bpf.h"
const volatile __u32 verdict = XDP_PASS;
SEC("xdp") int shed_all(struct xdp_md *ctx) { return verdict; }
char LICENSE[] SEC("license") = "Dual BSD/GPL";
"""


def dropped(result: rxpool.Result) -> int:
    return result.ledger["packets"].places.get("dropped.xdp_drop", 0)


@pytest.fixture
def to_port_9(small: dict[str, Any]) -> dict[str, Any]:
    """The small host with half of its packets to port 9."""
    value = copy.deepcopy(small)
    value["traffic"]["other"] = copy.deepcopy(value["traffic"]["load"])
    value["traffic"]["other"]["flows"]["destination_ports"] = "9"
    return value


def test_a_function_decides_as_the_object_does(to_port_9: dict[str, Any]) -> None:
    by_object = rxpool.run(to_port_9, policy="drop_udp_port")
    by_function = rxpool.run(to_port_9, policy=shedding.port_9)
    assert dropped(by_object) > 100
    assert dropped(by_function) == dropped(by_object)
    assert any("slow" in warning for warning in by_function.warnings)
    assert not any("slow" in warning for warning in by_object.warnings)


def test_a_function_is_named_by_its_module(small: dict[str, Any]) -> None:
    by_name = rxpool.run(small, policy="shedding:even_sources")
    by_value = rxpool.run(small, policy=shedding.even_sources)
    assert by_name.policy == by_value.policy == "shedding:even_sources"
    assert by_name.fingerprint == by_value.fingerprint
    assert by_name.scenario.digest == by_value.scenario.digest
    assert "shedding:even_sources" in by_name.scenario.file_digests
    assert dropped(by_name) > 0
    assert rxpool.run(small, policy="nic0=shedding:even_sources").fingerprint == by_name.fingerprint


def test_a_function_sees_whole_frames_and_the_signal(small: dict[str, Any]) -> None:
    shedding.seen.clear()
    result = rxpool.run(small, policy=shedding.remembering)
    assert len(shedding.seen) == sum(r.program_packets for r in result.replications)
    assert {abi for _, abi in shedding.seen} == {1}
    assert all(size >= 60 for size, _ in shedding.seen)


def test_what_a_function_raises_comes_out(small: dict[str, Any]) -> None:
    shedding.seen.clear()
    with pytest.raises(ZeroDivisionError, match="tenth packet"):
        rxpool.run(small, policy=shedding.wrong)
    assert len(shedding.seen) == 10  # and nothing is asked afterwards
    with pytest.raises(TypeError, match="verdict as an int"):
        rxpool.run(small, policy=shedding.no_number)


def test_replications_on_workers_are_the_same(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    here = rxpool.run(small, policy="shedding:even_sources", replications=2)
    there = rxpool.run(small, policy="shedding:even_sources", replications=2, jobs=2)
    assert here.fingerprint == there.fingerprint


def test_lambdas_run_here_and_are_never_stored(small: dict[str, Any], tmp_path: Path) -> None:
    from rxpool.store import Store
    from rxpool.study import run_stored

    result = rxpool.run(small, policy=lambda packet, signal: 1)
    assert dropped(result) > 100
    scenario = load(small, policy=lambda packet, signal: 1)
    with pytest.raises(InputError, match="never stored"):
        run_stored([scenario], Store(tmp_path))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="leave jobs at 1"):
        rxpool.run(small, policy=lambda packet, signal: 1, jobs=2, replications=2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:f", "no module 'no_such_module'"),
        ("shedding:no_such", "has no function 'no_such'"),
        ("shedding:not_a_function", "is no function"),
    ],
)
def test_a_function_that_is_not_there_is_exit_4(small: dict[str, Any], name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        rxpool.run(small, policy=name)
    assert caught.value.code == ExitCode.POLICY_REJECTED


def test_a_scenario_file_starts_no_python(small: dict[str, Any]) -> None:
    value = {**small, "policies": {"nic0": "os:getpid"}}
    with pytest.raises(InputError, match="Python function"):
        rxpool.run(value)


def test_a_policy_object_goes_into_the_host_as_it_is(small: dict[str, Any]) -> None:
    policy = Policy.from_c(SHED_ALL, "shed_all", params={"verdict": 1})
    result = rxpool.run(small, policy=policy)
    assert result.policy == "shed_all(verdict=1)"
    assert result.ledger["packets"].places.get("delivered", 0) == 0
    other = Policy.from_c(SHED_ALL.replace("shed_all", "shed_most"), "shed_all", params={"verdict": 1})
    assert rxpool.run(small, policy=other).scenario.digest != result.scenario.digest
    assert rxpool.run(small, policy=policy, jobs=2, replications=2).replications[0].fingerprint == (
        result.replications[0].fingerprint
    )


def test_compare_takes_names_objects_and_functions(small: dict[str, Any]) -> None:
    policy = Policy.from_c(SHED_ALL, "shed_all", params={"verdict": 1})
    comparison = compare(small, ["pass", policy, shedding.even_sources], metrics=["packets.delivered"], replications=2)
    means = {row.policy: row.difference.other for row in comparison.rows}
    assert means["shed_all(verdict=1)"] == 0
    assert 0 < means["shedding:even_sources"] < comparison.rows[0].difference.baseline


def test_the_command_runs_and_stores_a_function(rxpool_command: Command, small_file: Path) -> None:
    path = os.environ.get("PYTHONPATH", "")
    where = os.pathsep.join([str(Path(__file__).parent), path])
    words = ["run", small_file, "--policy", "shedding:even_sources", "--format", "json"]
    done = rxpool_command(*words, PYTHONPATH=where)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scenario"]["policies"]["nic0"]["program"] == "shedding:even_sources"
    folder = next((small_file.parent / "runs").iterdir())
    assert "shedding:even_sources" in json.loads((folder / "manifest.json").read_text())["files"]
    assert rxpool_command("run", small_file, "--policy", "nothing:here").returncode == 4


def test_maps_start_with_what_the_scenario_says(small: dict[str, Any]) -> None:
    policy = {"program": "syn_guard", "maps": {"trusted": {"entries": {"length=8,address=10.0.0.0": 1}}}}
    loaded = load({**small, "policies": {"nic0": policy}})
    assert rxpool.run(loaded).fingerprint
    again = loaded.with_set({"policies.nic0.maps.trusted.entries": {"length=8": 1}})
    assert again.digest != loaded.digest


@pytest.mark.parametrize(
    ("program", "maps", "message"),
    [
        ("syn_guard", {"trust": {"entries": {"1": 1}}}, "maps.trust: the program has no such map; it has .*trusted"),
        ("syn_guard", {"trusted": {"entries": {"size=8": 1}}}, 'no field "size"; it has length, address'),
        ("syn_guard", {"trusted": {"entries": {"1": 1}}}, "write field=number"),
        ("syn_guard", {"trusted": {"entries": {"length=99,address=10.0.0.0": 1}}}, "does not take it: Invalid"),
        ("load_balancer", {"backends": {"entries": {"hex:00": 1}}}, "give 4 bytes, two digits each"),
        ("drop_udp_port", {"verdicts": {"entries": {"9": 1}}}, "does not take it: Argument list too long"),
        ("drop_udp_port", {"verdicts": {"entries": {"1": -1}}}, "does not fit an unsigned number of 8 bytes"),
        ("drop_udp_port", {"verdicts": {"entries": {"1": 1.5}}}, "whole"),
    ],
)
def test_map_content_that_does_not_fit_is_one_line(
    small: dict[str, Any], program: str, maps: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        rxpool.run({**small, "policies": {"nic0": {"program": program, "maps": maps}}})
    assert "policies.nic0.maps." in str(caught.value)
    assert "\n" not in str(caught.value)


def test_params_of_a_scenario_are_checked(small: dict[str, Any]) -> None:
    for params, message in [
        ({"prot": 1}, "no knob"),
        ({"port": 1.5}, "whole"),
        ({"port": "x"}, "numbers"),
        ({"port": 70000}, "does not fit"),
    ]:
        with pytest.raises(InputError, match=message):
            rxpool.run({**small, "policies": {"nic0": {"program": "drop_udp_port", "params": params}}})
