"""Loading, running and the result object, on the real core."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rxpool
from conftest import ROOT
from rxpool.measures import Measure, measure_names


def test_load_writes_every_default_out_and_loads_back(small: dict[str, Any]) -> None:
    scenario = rxpool.load(small)
    assert scenario.seed == 1
    assert scenario.resolved["nics"]["nic0"]["rx_ring"] > 0
    assert rxpool.load(json.loads(scenario.text)).text == scenario.text


def test_set_reaches_a_dotted_path(small: dict[str, Any]) -> None:
    scenario = rxpool.load(small, set={"nics.nic0.rx_ring": 256}, seed=9, replications=3)
    assert scenario.resolved["nics"]["nic0"]["rx_ring"] == 256
    assert (scenario.seed, scenario.replications) == (9, 3)


def test_the_digest_forgets_replications_and_nothing_else(small: dict[str, Any]) -> None:
    base = rxpool.load(small)
    assert rxpool.load(small, replications=7).digest == base.digest
    assert rxpool.load(small, seed=2).digest != base.digest
    assert rxpool.load(small, set={"nics.nic0.rx_ring": 256}).digest != base.digest
    assert "calibration" in str(base.files())


def test_the_digest_covers_the_bytes_of_named_files(tmp_path: Path, small: dict[str, Any]) -> None:
    source = ROOT / "scenarios" / "calibration" / "m1-mlx5.json"
    copy = tmp_path / "mine.json"
    copy.write_bytes(source.read_bytes())
    first = rxpool.load({**small, "calibration": "mine.json"}, folder=tmp_path).digest
    assert rxpool.load({**small, "calibration": "mine.json"}, folder=tmp_path).digest == first
    copy.write_bytes(source.read_bytes() + b"\n")
    assert rxpool.load({**small, "calibration": "mine.json"}, folder=tmp_path).digest != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duration": 5}, "duration"),
        ({"duration_ms": "long"}, "duration_ms"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"nics": {"nic0": {"driver": "e1000"}}}, "driver"),
    ],
)
def test_a_wrong_scenario_is_one_line_with_its_place(
    small: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(rxpool.InputError, match=message) as caught:
        rxpool.load({**small, **change})
    assert "\n" not in str(caught.value)
    assert caught.value.code == rxpool.ExitCode.BAD_INPUT


def test_errors_survive_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(rxpool.InputError("text", 5)))
    assert (str(error), error.code) == ("text", rxpool.ExitCode.LIMIT)


def test_shipped_policies_are_found_from_anywhere(tmp_path: Path, small: dict[str, Any]) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(small))
    scenario = rxpool.load(tmp_path / "mine.json", policy="drop_udp_port")
    assert "drop_udp_port.bpf.c" in scenario.files()
    with pytest.raises(rxpool.InputError, match="no policy"):
        rxpool.load(tmp_path / "mine.json", policy="drop_everything_twice")


def test_a_run_is_a_function_of_scenario_seed_and_replication(small: dict[str, Any]) -> None:
    first = rxpool.run(small, replications=2)
    again = rxpool.run(small, replications=2)
    assert first.fingerprint == again.fingerprint
    assert first.metrics.equals(again.metrics)
    assert first.series.equals(again.series)
    assert rxpool.run(small, seed=2).fingerprint != rxpool.run(small).fingerprint
    assert first.replications[0].fingerprint != first.replications[1].fingerprint
    assert first.replications[0].fingerprint == rxpool.run(small).replications[0].fingerprint


def test_worker_processes_change_nothing(small: dict[str, Any]) -> None:
    here = rxpool.run(small, replications=6)
    there = rxpool.run(small, replications=6, jobs=2)
    assert here.fingerprint == there.fingerprint
    assert here.metrics.equals(there.metrics)


def test_frames_are_long_and_typed(small: dict[str, Any]) -> None:
    result = rxpool.run(small, replications=2)
    columns = ["run", "scenario", "policy", "replication", "component", "metric", "unit", "value"]
    assert list(result.metrics.columns) == columns
    assert list(result.series.columns) == [*columns[:-1], "time_ns", "value"]
    assert set(result.metrics["replication"]) == {0, 1}
    assert result.series["time_ns"].dtype == np.int64
    assert not result.metrics.duplicated(["replication", "component", "metric"]).any()


def test_the_ledger_closes_and_the_result_pickles(small: dict[str, Any]) -> None:
    result = rxpool.run(small, replications=2)
    for ledger in result.ledger.values():
        assert ledger.total == sum(ledger.places.values()) > 0
    back = pickle.loads(pickle.dumps(result))
    assert back.fingerprint == result.fingerprint
    assert back.metrics.equals(result.metrics)
    assert back.series.equals(result.series)


def test_json_has_the_documented_form(small: dict[str, Any]) -> None:
    value = json.loads(rxpool.run(small, replications=2).to_json())
    assert list(value) == [
        "schema",
        "scenario",
        "seed",
        "fingerprint",
        "duration_ms",
        "metrics",
        "ledger",
        "headline",
        "warnings",
        "context",
    ]
    assert value["schema"] == 1
    assert set(value["metrics"][0]) == {"replication", "component", "metric", "value", "unit"}
    assert set(value["ledger"]["packets"]) == {"offered", "places"}
    assert set(value["ledger"]["pages"]) == {"total", "places"}
    assert value["headline"]["low"] <= value["headline"]["value"] <= value["headline"]["high"]
    assert value["context"]["offered_packets_per_cpu_second"] > 0


def test_every_metric_is_declared(small: dict[str, Any]) -> None:
    from rxpool import _core

    declared = {m["name"]: m["unit"] for m in _core.metric_table()}
    suffixes = ("", "_mean", "_max", "_min", "_p50", "_p90", "_p99", "_p99_9", "_p99_99")
    replication = rxpool.run(small).replications[0]
    for metric, unit in zip(replication.metric, replication.unit, strict=True):
        base = next((metric.removesuffix(s) for s in suffixes if metric.removesuffix(s) in declared), None)
        assert base is not None, metric
        assert declared[base] == unit, metric


def test_measures_find_metrics_and_places(small: dict[str, Any]) -> None:
    replication = rxpool.run(small).replications[0]
    names = list(measure_names(replication))
    assert len(names) == len(set(names))
    for name in names:
        assert Measure(name).of(replication) is not None
    offered = Measure("packets.offered").of(replication)
    assert offered == replication.counted.total
    assert Measure("sum:rx_packets").of(replication) == Measure("rx_packets").of(replication)
    with pytest.raises(rxpool.InputError, match="nearest is"):
        Measure("rx_pakets").of(replication)


def test_import_is_quick_and_light() -> None:
    code = "import sys, time; t = time.perf_counter(); import rxpool; print(time.perf_counter() - t, *sys.modules)"
    seconds, *modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert float(seconds) < 0.5
    assert not {"pandas", "pyarrow", "scipy", "typer", "rich", "optuna", "distributed"} & set(modules)


def test_the_core_releases_the_lock(small: dict[str, Any]) -> None:
    """Another thread goes on while a replication runs."""
    import threading

    scenario = rxpool.load(small, set={"duration_ms": 50})
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(0.001):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    begin = time.perf_counter()
    rxpool.run(scenario)
    end = time.perf_counter()
    stop.set()
    thread.join()
    inside = [t for t in ticks if begin < t < end]
    assert end - begin < 0.02 or len(inside) > (end - begin) / 0.02


def test_packets_are_counted_from_the_end_of_warm_up_on(small: dict[str, Any]) -> None:
    short = {**small, "duration_ms": 4, "policies": {"nic0": "drop"}}
    whole = rxpool.run(short, set={"warmup_ms": 0}).replications[0]
    cut = rxpool.run(short, set={"warmup_ms": 3, "duration_ms": 1}).replications[0]
    assert whole.packets == cut.packets, "the same run"
    assert whole.counted == whole.packets
    assert cut.packets_at_cut.total == sum(cut.packets_at_cut.places.values())
    queue = "nics.nic0.rx_queues.rx0"
    assert Measure("packets.dropped").of(cut) == cut[queue, "xdp_drop"] < whole[queue, "xdp_drop"] / 2
    assert Measure("packets.offered").of(cut) == cut["nics.nic0", "rx_packets_phy"]
    on_its_way = sum(n for p, n in cut.packets_at_cut.places.items() if p.startswith("in_flight."))
    assert sum(cut.counted.places.values()) == cut.counted.total + on_its_way
