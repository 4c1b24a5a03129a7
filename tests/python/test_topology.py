"""The graph of a scenario: loads and capacities by hand, and the simulation finds the same bottleneck."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import rxpool
from conftest import ROOT, Command
from rxpool.topology import Stage, topology


def stages(scenario: Any, **options: Any) -> dict[str, Stage]:
    return {stage.component: stage for stage in topology(scenario, **options).stages}


def cost(*steps: str) -> float:
    prices = json.loads((ROOT / "scenarios/calibration/m1-mlx5.json").read_text())["steps"]
    return sum(round(prices[step]["ns"], 3) for step in steps)  # the core counts in whole picoseconds


def test_a_dropping_cpu_has_the_price_of_its_steps(small: dict[str, Any]) -> None:
    found = stages(small, policy="drop")
    per_packet = cost("rx_descriptor", "dma_sync", "xdp_call", "xdp_program_drop", "refill_descriptor")
    assert found["cpus.cpu0"].demand_ns == pytest.approx(per_packet + cost("napi_poll") / 64)
    assert found["cpus.cpu0"].capacity_pps == pytest.approx(1e9 / found["cpus.cpu0"].demand_ns)
    assert found["sockets.service"].offered_pps == 0


def test_the_load_is_that_of_the_sources(small: dict[str, Any]) -> None:
    found = stages(small, set={"duration_ms": 100})
    for name in ("traffic.load", "nics.nic0", "nics.nic0.rx_queues.rx0", "sockets.service"):
        assert found[name].offered_pps == pytest.approx(500_000, rel=0.02)
    assert found["sockets.service"].utilisation == pytest.approx(
        found["sockets.service"].offered_pps / found["sockets.service"].capacity_pps
    )


def test_the_link_is_as_long_busy_as_its_bits_are(small: dict[str, Any]) -> None:
    link = stages(small, set={"duration_ms": 20})["nics.nic0"]
    assert link.demand_ns == pytest.approx((64 + 20) * 8 / 100)
    assert link.utilisation == pytest.approx(link.offered_pps * link.demand_ns * 1e-9)


def test_what_a_cpu_cannot_serve_does_not_reach_the_socket(small: dict[str, Any]) -> None:
    found = stages(small, set={"traffic.load.rate_pps": 10_000_000})
    assert found["cpus.cpu0"].utilisation > 2
    assert found["sockets.service"].offered_pps == pytest.approx(found["cpus.cpu0"].capacity_pps, rel=1e-6)


@pytest.mark.parametrize(
    ("bottleneck", "changes", "policy"),
    [
        ("", {"sockets.service.rcvbuf": 1_048_576}, None),
        ("cpus.cpu0", {"traffic.load.rate_pps": 8_000_000}, None),
        ("cpus.cpu0", {"traffic.load.rate_pps": 36_000_000}, "drop"),
        ("sockets.service", {"sockets.service.reader.service_ns": 20_000, "sockets.service.rcvbuf": 65536}, None),
        ("sockets.service", {"sockets.service.reader.rate_pps": 50_000, "sockets.service.rcvbuf": 65536}, None),
        ("nics.nic0.pcie", {"traffic.load.rate_pps": 8_000_000, "nics.nic0.pcie.packet_ns": 500}, "drop"),
    ],
)
def test_the_simulation_finds_the_predicted_bottleneck(
    small: dict[str, Any], bottleneck: str, changes: dict[str, Any], policy: str | None
) -> None:
    scenario = rxpool.load(small, set={"duration_ms": 20, **changes}, policy=policy)
    found = topology(scenario)
    assert found.predicted[0] == bottleneck
    result = rxpool.run(scenario)
    assert found.agrees(result), result.bottleneck
    assert found.verdict(result).startswith("The simulation agrees: ")


def test_a_burst_that_the_mean_hides_is_a_disagreement(small: dict[str, Any]) -> None:
    """The reader pauses: mean rates know nothing of it."""
    pauses = {"p": {"at_ms": 2, "for_ms": 8}}
    scenario = rxpool.load(small, set={"duration_ms": 20, "sockets.service.reader.pauses": pauses})
    found, result = topology(scenario), rxpool.run(scenario)
    assert found.predicted[0] == ""
    assert not found.agrees(result)
    assert found.to_dict(result)["simulated"]["component"] == "sockets.service"


def test_a_policy_object_is_run_on_the_arrivals(small: dict[str, Any]) -> None:
    scenario = {**small, "policies": {"nic0": {"program": "drop_udp_port", "params": {"port": 4000}}}}
    found = stages(scenario)
    assert found["sockets.service"].offered_pps == 0
    assert found["cpus.cpu0"].demand_ns > stages(small, policy="drop")["cpus.cpu0"].demand_ns


def test_the_command_draws_and_says_who_was_right(rxpool_command: Command, small_file: Path) -> None:
    roomy = ("--set", "sockets.service.rcvbuf=1048576")
    out = rxpool_command("graph", small_file, *roomy)
    assert out.returncode == 0, out.stderr
    assert "predicted: No stage is expected to be overloaded" in out.stdout
    assert "The simulation agrees: Nothing was lost" in out.stdout
    picture = (small_file.parent / "small-graph.svg").read_text()
    assert "cpus.cpu0" in picture
    assert "</svg>" in picture
    said = json.loads(rxpool_command("graph", small_file, *roomy, "--to", "g.dot", "--format", "json").stdout)
    assert said["agrees"] is True
    assert said["dot"] == (small_file.parent / "g.dot").read_text()
    assert rxpool_command("graph", small_file, "--to", "g.gif").returncode == 2


def test_a_cpu_counts_its_readers_too(small: dict[str, Any]) -> None:
    found = stages(small, set={"duration_ms": 20, "sockets.service.cpu": "cpu0"})
    queue, reader = found["nics.nic0.rx_queues.rx0"], found["sockets.service"]
    work = queue.offered_pps * queue.demand_ns + reader.offered_pps * reader.demand_ns
    assert found["cpus.cpu0"].utilisation == pytest.approx(work * 1e-9)
    slow = stages(small, set={"sockets.service.reader.service_ns": 20_000})
    assert slow["cpus.cpu1"].utilisation == pytest.approx(1)
